cwlVersion: v1.2
class: ExpressionTool
doc: What the run found, in one small JSON file.
requirements:
  InlineJavascriptRequirement: {}
inputs:
  names: string[]
  counts: {type: "File[]", loadContents: true}
  table: {type: File, loadContents: true}
outputs:
  summary: File
expression: |
  ${
    var rows = inputs.table.contents.split("\n").filter(function (row) { return row !== ""; })
      .map(function (row) { return row.split("\t"); });

    function isIndel(row) {
      return row[2].split(",").some(function (alternative) { return alternative.length !== row[1].length; });
    }

    var samples = {};
    inputs.names.forEach(function (name, column) {
      var passed = JSON.parse(inputs.counts[column].contents)["QC-passed reads"];
      samples[name] = {
        mapped_reads: passed["primary mapped"],
        properly_paired: passed["properly paired"],
        duplicates: passed["primary duplicates"],
        variants: rows.filter(function (row) { return row[3 + column] !== "."; }).length
      };
    });

    var indels = rows.filter(isIndel).length;
    var summary = {variants: rows.length, indels: indels, substitutions: rows.length - indels, samples: samples};
    return {summary: {
      "class": "File",
      basename: "summary.json",
      contents: JSON.stringify(summary, null, 2) + "\n"
    }};
  }
