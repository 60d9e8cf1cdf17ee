"""What pays only before quantisation: spellings that have integer kernels."""
