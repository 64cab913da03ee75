"""Queues: the file that lists them, where it is found, and what Celery is told about them."""
