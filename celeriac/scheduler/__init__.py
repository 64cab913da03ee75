"""(state, event) -> instructions: readiness, retry policy. Pure: values in, values out."""
