"""``bench.py latency``: how fast onnxruntime runs what each tool makes of a model."""
