"""Passes as values, pipelines as text, and the manager that runs them."""
