cwlVersion: v1.2
class: Workflow
doc: One sample's row of the report. A sample without reads costs one count and a remark.
requirements:
  SubworkflowFeatureRequirement: {}
  MultipleInputFeatureRequirement: {}
  InlineJavascriptRequirement: {}

inputs:
  fastq: File

steps:
  count:
    run: tools/count.cwl
    in: {fastq: fastq}
    out: [reads]
  profile:
    run: profile.cwl
    when: $(inputs.reads > 0)
    in: {fastq: fastq, reads: count/reads}
    out: [row]
  remark:
    run: tools/remark.cwl
    when: $(inputs.reads === 0)
    in: {fastq: fastq, reads: count/reads}
    out: [row]

outputs:
  row:
    type: string
    outputSource: [profile/row, remark/row]
    pickValue: the_only_non_null
