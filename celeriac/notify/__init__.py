"""What a listener is told of runs, how it is signed and how it is posted. No state, no decision on a run."""
