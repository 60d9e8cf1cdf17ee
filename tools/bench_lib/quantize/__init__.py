"""``bench.py quantize``: speed, size and accuracy of quantised models, ours and onnxruntime's."""
