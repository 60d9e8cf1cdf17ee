"""Tests of the analysis: every fact is checked against numbers or against what onnxruntime gives."""
