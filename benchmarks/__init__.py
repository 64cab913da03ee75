"""Measure Celeriac and its peers side by side, as whole processes: ``python -m benchmarks``."""
