"""Proof of fusion: which operators the runtime really computes in integers, and why not the others."""
