"""`celeriac notify`: what listeners were not told yet; tell them again, or never; a listener to try it out."""

from celeriac.cli.notify.command import EPILOG, arguments, main

__all__ = ["EPILOG", "arguments", "main"]
