"""The routes over HTTP: GA4GH WES 1.1, and those that clients of CWL-Airflow know. Nothing here decides about a run."""
