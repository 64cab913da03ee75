cwlVersion: v1.2
class: Workflow
doc: Variants of several samples against one reference - bowtie2, samtools, bcftools.
requirements:
  ScatterFeatureRequirement: {}
  SubworkflowFeatureRequirement: {}
  StepInputExpressionRequirement: {}
  InlineJavascriptRequirement: {}
inputs:
  reference: File
  samples:
    type:
      type: array
      items:
        type: record
        name: sample
        fields:
          name: string
          forward: File
          reverse: File
          amplified: boolean
  min_quality: {type: float, default: 20}
  min_depth: {type: int, default: 3}

steps:
  build_index:
    run: tools/bowtie2-build.cwl
    in: {reference: reference}
    out: [index]
  index_reference:
    run: tools/faidx.cwl
    in: {reference: reference}
    out: [indexed]
  per_sample:
    run: sample.cwl
    scatter: sample
    in:
      sample: samples
      name: {valueFrom: $(inputs.sample.name)}
      forward: {valueFrom: $(inputs.sample.forward)}
      reverse: {valueFrom: $(inputs.sample.reverse)}
      amplified: {valueFrom: $(inputs.sample.amplified)}
      index: build_index/index
      reference: index_reference/indexed
      min_quality: min_quality
      min_depth: min_depth
    out: [alignments, counts, log, variants]
  merge:
    run: tools/merge.cwl
    in: {variants: per_sample/variants}
    out: [merged]
  index_merged:
    run: tools/index-vcf.cwl
    in: {variants: merge/merged}
    out: [indexed]
  tabulate:
    run: tools/positions.cwl
    in: {variants: index_merged/indexed}
    out: [table]
  summarise:
    run: summary.cwl
    in:
      names: {source: samples, valueFrom: "$(self.map(function (sample) { return sample.name; }))"}
      counts: per_sample/counts
      table: tabulate/table
    out: [summary]

outputs:
  variants: {type: File, outputSource: index_merged/indexed, secondaryFiles: [.csi]}
  table: {type: File, outputSource: tabulate/table}
  alignments: {type: "File[]", outputSource: per_sample/alignments, secondaryFiles: [.bai]}
  logs: {type: "File[]", outputSource: per_sample/log}
  summary: {type: File, outputSource: summarise/summary}
