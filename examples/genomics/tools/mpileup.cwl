cwlVersion: v1.2
class: CommandLineTool
doc: Genotype likelihoods at every covered position of the reference.
baseCommand: [bcftools, mpileup, --annotate, "FORMAT/AD,FORMAT/DP", -Ob]
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 512}
inputs:
  reference:
    type: File
    secondaryFiles: [.fai]
    inputBinding: {prefix: -f}
  alignments:
    type: File
    secondaryFiles: [.bai]
    inputBinding: {position: 1}
stdout: $(inputs.alignments.nameroot).likelihoods.bcf
outputs:
  likelihoods: {type: stdout}
