cwlVersion: v1.2
class: CommandLineTool
doc: Put an alignment and its .bai index side by side.
baseCommand: [samtools, index]
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 256}
  InitialWorkDirRequirement:
    listing: [$(inputs.alignments)]
inputs:
  alignments: File
arguments: [$(inputs.alignments.basename)]
outputs:
  indexed:
    type: File
    secondaryFiles: [.bai]
    outputBinding: {glob: $(inputs.alignments.basename)}
