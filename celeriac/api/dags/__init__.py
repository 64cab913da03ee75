"""The routes that clients of CWL-Airflow know, under ``/api/experimental``."""
