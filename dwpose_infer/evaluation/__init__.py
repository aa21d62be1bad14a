"""Accuracy against labels: the COCO-WholeBody protocol, PCK and pixel errors."""
