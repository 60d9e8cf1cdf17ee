"""Reports as one page each, that needs nothing else: no network, no other file, no script to be read."""
