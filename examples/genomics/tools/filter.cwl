cwlVersion: v1.2
class: CommandLineTool
doc: Keep the calls that enough good reads speak for.
baseCommand: [bcftools, filter, -Oz]
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 256}
inputs:
  name: string
  min_quality: float
  min_depth: int
  calls:
    type: File
    inputBinding: {position: 1}
arguments:
  - prefix: -i
    valueFrom: QUAL>=$(inputs.min_quality) && INFO/DP>=$(inputs.min_depth)
stdout: $(inputs.name).vcf.gz
outputs:
  filtered: {type: stdout}
