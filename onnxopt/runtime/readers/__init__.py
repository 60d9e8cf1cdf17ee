"""Samples, one at a time: from archives, folders, images, or a function of the user's."""
