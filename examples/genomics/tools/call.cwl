cwlVersion: v1.2
class: CommandLineTool
doc: Call the variants; a phage has one copy of its genome, hence the ploidy.
baseCommand: [bcftools, call, --ploidy, "1", -m, -v, -Ob]
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  InlineJavascriptRequirement: {}
  ResourceRequirement: {coresMin: 1, ramMin: 256}
inputs:
  likelihoods:
    type: File
    inputBinding: {position: 1}
stdout: $(inputs.likelihoods.nameroot.split('.')[0]).calls.bcf
outputs:
  calls: {type: stdout}
