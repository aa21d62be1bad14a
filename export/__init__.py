"""Exporting networks to ONNX, with a gate that compares every file with what it came from.

`exporter.export_model` is the front door; the command `dwpose-export` is a thin layer over it.
Sources that are ONNX files need the packages onnx and onnxruntime; only checkpoints need torch.
"""
