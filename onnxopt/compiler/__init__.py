"""From a model file to a verified, optimised one: what the API and the command line call."""
