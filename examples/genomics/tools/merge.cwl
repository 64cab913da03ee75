cwlVersion: v1.2
class: CommandLineTool
doc: One VCF with a column for every sample.
baseCommand: [bcftools, merge, -Oz]
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 512}
inputs:
  variants:
    type:
      type: array
      items: File
    secondaryFiles: [.csi]
    inputBinding: {position: 1}
stdout: variants.vcf.gz
outputs:
  merged: {type: stdout}
