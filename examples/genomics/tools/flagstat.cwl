cwlVersion: v1.2
class: CommandLineTool
doc: Count the reads by their flags, as JSON.
baseCommand: [samtools, flagstat, -O, json]
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 256}
inputs:
  alignments:
    type: File
    secondaryFiles: [.bai]
    inputBinding: {position: 1}
stdout: $(inputs.alignments.nameroot).flagstat.json
outputs:
  counts: {type: stdout}
