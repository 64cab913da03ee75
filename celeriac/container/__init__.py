"""What runs a tool: a container engine, a plain process, or a stand-in for tests.

The contract is in :mod:`celeriac.container.base`. Importing any of this imports no Docker SDK;
:class:`~celeriac.container.docker.DockerRunner` does so when it is first used.
"""
