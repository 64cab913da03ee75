cwlVersion: v1.2
class: CommandLineTool
doc: Every sequence once, however often it was read.
baseCommand: [sort, -u]
inputs:
  sequences: {type: File, inputBinding: {}}
stdout: $(inputs.sequences.nameroot).distinct.txt
outputs:
  distinct: {type: stdout}
