cwlVersion: v1.2
class: CommandLineTool
doc: The second of every four lines - the bases, without names and qualities.
baseCommand: [sed, -n, "n;p;n;n"]
inputs:
  fastq: {type: File, inputBinding: {}}
stdout: $(inputs.fastq.nameroot).txt
outputs:
  sequences: {type: stdout}
