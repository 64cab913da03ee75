"""Settings -> Celery configuration; the composition root; logging; Flower."""
