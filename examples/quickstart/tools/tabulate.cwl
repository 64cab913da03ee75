cwlVersion: v1.2
class: ExpressionTool
doc: The rows under one heading - a File that is made of nothing but its contents.
requirements:
  InlineJavascriptRequirement: {}
inputs:
  rows: string[]
outputs:
  report: File
expression: |
  ${
    var heading = ["sample", "reads", "bases", "again %", "GC %"];

    function aligned(cells) {
      return cells.map(function (cell, column) {
        var space = new Array(Math.max(0, 12 - cell.length) + 1).join(" ");
        return column === 0 || column >= heading.length ? cell + space : space + cell;
      }).join("  ").replace(/ +$/, "");
    }

    var lines = [heading].concat(inputs.rows.map(function (row) { return row.split("\t"); })).map(aligned);
    return {report: {"class": "File", basename: "report.txt", contents: lines.join("\n") + "\n"}};
  }
