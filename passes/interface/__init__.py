"""Change what a model takes and gives, because the user asked for it."""
