"""Celeriac's tests. A package, so that the tiers share ``tests.services``."""
