"""One job: build it with cwltool, stage its inputs, run it, collect and publish its outputs."""
