"""Weights alone in few bits."""
