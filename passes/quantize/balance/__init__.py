"""What makes a model easier to quantise: the same results from values of more even size."""
