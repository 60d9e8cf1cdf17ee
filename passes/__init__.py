"""The rewrites: one idea a file, grouped by what they are for."""
