cwlVersion: v1.2
class: Workflow
doc: The figures of a sample that has reads.

inputs:
  fastq: File
  reads: int

steps:
  sequences:
    run: tools/sequences.cwl
    in: {fastq: fastq}
    out: [sequences]
  distinct:
    run: tools/distinct.cwl
    in: {sequences: sequences/sequences}
    out: [distinct]
  measure:
    run: tools/measure.cwl
    in: {fastq: fastq, reads: reads, sequences: sequences/sequences, distinct: distinct/distinct}
    out: [row]

outputs:
  row: {type: string, outputSource: measure/row}
