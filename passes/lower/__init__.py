"""Turn what the target has operators of its own for into those."""
