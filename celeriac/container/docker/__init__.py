"""Run tools in containers, through the Docker SDK for Python.

``runner`` is the face, ``attempt`` one command from create to removal, ``fence`` the create and the
removal themselves, ``create`` a container's settings, ``follow`` the wait for its end, ``streams`` its
standard streams, ``verdict`` what its end means and ``usage`` what it used; ``images`` and ``fetch`` say
where images come from, ``listing`` whose containers are there, ``connection``, ``outage`` and ``refusals``
what the engine's errors mean.
"""

from celeriac.container.docker.runner import DockerRunner

__all__ = ["DockerRunner"]
