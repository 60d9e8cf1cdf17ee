"""Recognise attention and hand it to one operator, the standard one or the target's."""
