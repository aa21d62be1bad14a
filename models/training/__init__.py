"""Training: plain supervision and the two stages of DWPose's distillation."""
