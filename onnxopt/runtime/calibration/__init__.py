"""Observing the values inside a model while it runs on samples."""
