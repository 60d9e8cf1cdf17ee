"""Clean up: dead nodes, unused and duplicate initializers, repeated computations."""
