"""Plots of a clip: paths of points, joint angles, speeds, presence and scores over time."""
