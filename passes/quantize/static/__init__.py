"""Static quantisation: scales of activations that are known beforehand."""
