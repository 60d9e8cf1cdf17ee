"""Compute the same maps in another order, where that takes less work."""
