"""Fuse several operators into one standard operator of the model's own opset."""
