"""What each runtime runs well, as data files."""
