cwlVersion: v1.2
class: CommandLineTool
doc: Complete the mate fields (-m adds the scores by which duplicates are told apart later).
baseCommand: [samtools, fixmate, -m]
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 512}
inputs:
  alignments:
    type: File
    inputBinding: {position: 1}
arguments:
  - {position: 2, valueFrom: $(inputs.alignments.nameroot).mated.bam}
outputs:
  mated:
    type: File
    outputBinding: {glob: $(inputs.alignments.nameroot).mated.bam}
