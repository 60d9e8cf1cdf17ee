"""Dynamic quantisation: scales of activations that are taken at run time."""
