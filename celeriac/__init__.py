"""Celeriac: Common Workflow Language workflows on Celery.

A program that only submits runs needs this package alone::

    from celeriac import run_workflow
    result = run_workflow.delay("wf.cwl", {"message": "hello"})
    outputs = result.get()

and may cancel them: ``cancel_run.delay(result)``.
"""

from celeriac.client import cancel_run, cancel_step, run_workflow
from celeriac.version import VERSION

__all__ = ["cancel_run", "cancel_step", "run_workflow"]
__version__ = VERSION
