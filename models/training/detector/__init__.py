"""Training of person detectors: a YOLOX learns from a larger detector's outputs at every cell."""
