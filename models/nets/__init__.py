"""The torch definitions, one architecture a file; everything here imports torch."""
