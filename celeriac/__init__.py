"""Celeriac: Common Workflow Language workflows on Celery.

A program that only submits runs needs this package alone::

    from celeriac import run_workflow
    outputs = run_workflow.delay("wf.cwl", {"message": "hello"}).get()
"""

from celeriac.client import run_workflow

__all__ = ["run_workflow"]
__version__ = "0.1.0"
