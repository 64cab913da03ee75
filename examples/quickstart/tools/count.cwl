cwlVersion: v1.2
class: CommandLineTool
doc: How many reads a FASTQ file holds, at four lines a read.
baseCommand: [wc, -l]
requirements:
  InlineJavascriptRequirement: {}
inputs:
  fastq: File
stdin: $(inputs.fastq.path)
stdout: lines.txt
outputs:
  reads:
    type: int
    outputBinding:
      glob: lines.txt
      loadContents: true
      outputEval: $(parseInt(self[0].contents, 10) / 4)
