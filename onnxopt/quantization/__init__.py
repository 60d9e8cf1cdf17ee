"""Quantisation without graphs: types, ranges, statistics of tensors, rounding of weights."""
