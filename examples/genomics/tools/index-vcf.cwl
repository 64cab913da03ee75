cwlVersion: v1.2
class: CommandLineTool
doc: Put a compressed VCF and its .csi index side by side.
baseCommand: [bcftools, index]
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 256}
  InitialWorkDirRequirement:
    listing: [$(inputs.variants)]
inputs:
  variants: File
arguments: [$(inputs.variants.basename)]
outputs:
  indexed:
    type: File
    secondaryFiles: [.csi]
    outputBinding: {glob: $(inputs.variants.basename)}
