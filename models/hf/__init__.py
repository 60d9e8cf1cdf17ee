"""Reference models that the package transformers computes: its code, random seeded weights."""
