cwlVersion: v1.2
class: ExpressionTool
doc: The row of a sample without reads.
requirements:
  InlineJavascriptRequirement: {}
inputs:
  fastq: File
outputs:
  row: string
expression: |
  ${ return {row: inputs.fastq.nameroot + "\t0\t(no reads)"}; }
