cwlVersion: v1.2
class: Workflow
doc: One sample - from its read pairs to indexed alignments and filtered variants.
requirements:
  MultipleInputFeatureRequirement: {}
  InlineJavascriptRequirement: {}
inputs:
  name: string
  forward: File
  reverse: File
  amplified: {type: boolean, doc: "whether the library went through PCR, so that duplicates have to be marked"}
  index:
    type: File
    secondaryFiles: [^^.2.bt2, ^^.3.bt2, ^^.4.bt2, ^^.rev.1.bt2, ^^.rev.2.bt2]
  reference: {type: File, secondaryFiles: [.fai]}
  min_quality: float
  min_depth: int

steps:
  align:
    run: tools/bowtie2.cwl
    in: {name: name, index: index, forward: forward, reverse: reverse}
    out: [alignments, log]
  fixmate:
    run: tools/fixmate.cwl
    in: {alignments: align/alignments}
    out: [mated]
  sort:
    run: tools/sort.cwl
    in: {name: name, mated: fixmate/mated}
    out: [sorted]
  mark_duplicates:
    run: tools/markdup.cwl
    when: $(inputs.amplified)
    in: {sorted: sort/sorted, amplified: amplified}
    out: [marked]
  index_alignments:
    run: tools/index.cwl
    in:
      alignments:
        source: [mark_duplicates/marked, sort/sorted]
        pickValue: first_non_null
    out: [indexed]
  count:
    run: tools/flagstat.cwl
    in: {alignments: index_alignments/indexed}
    out: [counts]
  pileup:
    run: tools/mpileup.cwl
    in: {reference: reference, alignments: index_alignments/indexed}
    out: [likelihoods]
  call:
    run: tools/call.cwl
    in: {likelihoods: pileup/likelihoods}
    out: [calls]
  filter:
    run: tools/filter.cwl
    in: {name: name, min_quality: min_quality, min_depth: min_depth, calls: call/calls}
    out: [filtered]
  index_variants:
    run: tools/index-vcf.cwl
    in: {variants: filter/filtered}
    out: [indexed]

outputs:
  alignments: {type: File, outputSource: index_alignments/indexed, secondaryFiles: [.bai]}
  counts: {type: File, outputSource: count/counts}
  log: {type: File, outputSource: align/log}
  variants: {type: File, outputSource: index_variants/indexed, secondaryFiles: [.csi]}
