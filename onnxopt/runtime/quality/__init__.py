"""How close models are to a reference on the user's samples, and whether that is close enough."""
