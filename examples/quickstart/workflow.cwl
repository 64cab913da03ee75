cwlVersion: v1.2
class: Workflow
doc: A look at a batch of FASTQ files - which hold reads, how many, how GC-rich, how repetitive.
requirements:
  ScatterFeatureRequirement: {}
  SubworkflowFeatureRequirement: {}

inputs:
  samples: File[]

steps:
  look: # a subworkflow for every sample, side by side
    run: sample.cwl
    scatter: fastq
    in: {fastq: samples}
    out: [row]

  tabulate:
    run: tools/tabulate.cwl
    in: {rows: look/row}
    out: [report]

outputs:
  report: {type: File, outputSource: tabulate/report}
