"""Other projects' optimisers as passes, where they are installed."""
