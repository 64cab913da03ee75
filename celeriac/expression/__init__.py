"""CWL expressions: parameter references, and JavaScript in an embedded engine with limits.

``evaluate`` is the way in for our own code, ``install`` gives the same engine to ``cwl_utils`` (and so
to cwltool), ``explain`` finds our error again inside what they raise. Why this engine and what its
limits are: ``docs/decisions/0003-javascript-engine.md``.
"""
