cwlVersion: v1.2
class: CommandLineTool
doc: Align one sample's read pairs. --reorder keeps the order whatever the number of threads.
baseCommand: [bowtie2, --reorder,]
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  InlineJavascriptRequirement: {}
  ResourceRequirement: {coresMin: 2, ramMin: 1024}
inputs:
  name: string
  index:
    type: File
    secondaryFiles: [^^.2.bt2, ^^.3.bt2, ^^.4.bt2, ^^.rev.1.bt2, ^^.rev.2.bt2]
    inputBinding:
      prefix: -x
      valueFrom: $(self.path.replace(/\.1\.bt2$/, ''))
  forward:
    type: File
    inputBinding: {prefix: "-1"}
  reverse:
    type: File
    inputBinding: {prefix: "-2"}
arguments:
  - {prefix: --threads, valueFrom: $(runtime.cores)}
  - {prefix: --rg-id, valueFrom: $(inputs.name)}
  - {prefix: --rg, valueFrom: "SM:$(inputs.name)"}
stdout: $(inputs.name).sam
stderr: $(inputs.name).bowtie2.log
outputs:
  alignments: {type: stdout}
  log: {type: stderr}
