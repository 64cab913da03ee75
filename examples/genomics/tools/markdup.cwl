cwlVersion: v1.2
class: CommandLineTool
doc: Flag the copies that amplification made of one and the same fragment.
baseCommand: [samtools, markdup]
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 512}
inputs:
  sorted:
    type: File
    inputBinding: {position: 1}
arguments:
  - {prefix: -T, valueFrom: $(runtime.tmpdir)/markdup}
  - {position: 2, valueFrom: $(inputs.sorted.basename)}
outputs:
  marked:
    type: File
    outputBinding: {glob: $(inputs.sorted.basename)}
