"""Quantising one model: candidates are made, measured and mended until one is close to the original and faster."""
