cwlVersion: v1.2
class: CommandLineTool
doc: Put a reference and its .fai index side by side.
baseCommand: [samtools, faidx]
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 256}
  InitialWorkDirRequirement:
    listing: [$(inputs.reference)]
inputs:
  reference: File
arguments: [$(inputs.reference.basename)]
outputs:
  indexed:
    type: File
    secondaryFiles: [.fai]
    outputBinding: {glob: $(inputs.reference.basename)}
