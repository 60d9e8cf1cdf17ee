"""Compute at compile time what does not depend on the inputs."""
