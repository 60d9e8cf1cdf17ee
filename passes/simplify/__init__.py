"""Remove operators that do nothing, and merge those that follow one another."""
