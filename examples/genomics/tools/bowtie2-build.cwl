cwlVersion: v1.2
class: CommandLineTool
doc: Index a reference for bowtie2. The index is six files; the first carries the others along.
baseCommand: [bowtie2-build, --quiet]
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 512}
inputs:
  reference:
    type: File
    inputBinding: {position: 1}
arguments:
  - {position: 2, valueFrom: $(inputs.reference.nameroot)}
outputs:
  index:
    type: File
    outputBinding: {glob: $(inputs.reference.nameroot).1.bt2}
    secondaryFiles: [^^.2.bt2, ^^.3.bt2, ^^.4.bt2, ^^.rev.1.bt2, ^^.rev.2.bt2]
