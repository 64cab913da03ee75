"""`celeriac why`: what is known of a step's place, and how it is told."""

from celeriac.cli.why.command import EPILOG, arguments, main

__all__ = ["EPILOG", "arguments", "main"]
