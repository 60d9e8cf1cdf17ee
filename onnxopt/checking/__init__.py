"""Gating a build on numbers: a budget, what is measured for each of its keys, and verdicts as data."""
