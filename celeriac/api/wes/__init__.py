"""GA4GH Workflow Execution Service 1.1, under ``/ga4gh/wes/v1``."""
