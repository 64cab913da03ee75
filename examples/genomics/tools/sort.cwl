cwlVersion: v1.2
class: CommandLineTool
doc: Sort by coordinate. Half of the step's memory goes to the sort buffer, the rest is headroom.
baseCommand: [samtools, sort]
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  InlineJavascriptRequirement: {}
  ResourceRequirement: {coresMin: 1, ramMin: 768}
inputs:
  name: string
  mated:
    type: File
    inputBinding: {position: 1}
arguments:
  - {prefix: -m, valueFrom: "$(Math.floor(runtime.ram / 2))M"}
  - {prefix: -T, valueFrom: $(runtime.tmpdir)/sort}
  - {prefix: -o, valueFrom: $(inputs.name).bam}
outputs:
  sorted:
    type: File
    outputBinding: {glob: $(inputs.name).bam}
