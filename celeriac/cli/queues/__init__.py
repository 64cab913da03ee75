"""`celeriac queues`: queues and hosts, how a file ranks, what the tools used."""

from celeriac.cli.queues.command import EPILOG, arguments, main

__all__ = ["EPILOG", "arguments", "main"]
