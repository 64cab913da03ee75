cwlVersion: v1.2
class: ExpressionTool
doc: GC content and the share of repeated reads, as a row of the report.
requirements:
  InlineJavascriptRequirement: {}
inputs:
  fastq: File
  reads: int
  sequences: {type: File, loadContents: true}
  distinct: {type: File, loadContents: true}
outputs:
  row: string
expression: |
  ${
    var bases = inputs.sequences.contents.replace(/\n/g, "");
    var distinct = inputs.distinct.contents.split("\n").length - 1;
    var gc = 100 * bases.replace(/[^GC]/g, "").length / bases.length;
    var repeated = 100 * (inputs.reads - distinct) / inputs.reads;

    function bar(length) { return new Array(Math.round(length) + 1).join("#"); }

    return {row: [inputs.fastq.nameroot, inputs.reads, bases.length, repeated.toFixed(1), gc.toFixed(1),
      bar(gc / 4)].join("\t")};
  }
