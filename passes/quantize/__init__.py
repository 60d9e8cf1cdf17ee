"""Quantisation: integers in the place of floats, around each operator that has an integer kernel."""
