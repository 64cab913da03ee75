cwlVersion: v1.2
class: CommandLineTool
doc: The merged calls as a plain table - position, reference, alternative, one genotype per sample.
baseCommand: [bcftools, query, -f, '%POS\t%REF\t%ALT[\t%GT]\n']
hints:
  DockerRequirement: {dockerPull: "celeriac-genomics:1"}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 256}
inputs:
  variants:
    type: File
    secondaryFiles: [.csi]
    inputBinding: {position: 1}
stdout: variants.tsv
outputs:
  table: {type: stdout}
