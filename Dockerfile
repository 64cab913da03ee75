# The application: workers, Flower and the command line; which one is the command's choice.
FROM python:3-slim

WORKDIR /app
COPY pyproject.toml setup.cfg README.md celeryconfig.py queues.yaml ./
COPY celeriac celeriac
COPY tasks tasks
COPY queues queues
COPY config config
RUN pip install --no-cache-dir .

# Celery finds celeryconfig.py and Celeriac queues.yaml in the working directory, as in a checkout.
RUN useradd --uid 1000 --create-home celeriac
USER celeriac

ENV PYTHONUNBUFFERED=1
CMD ["celeriac", "--help"]
