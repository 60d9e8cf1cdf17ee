"""Compute in a shorter float type, and in single precision where that is needed."""
