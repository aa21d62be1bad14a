"""Parameters and multiply-accumulates of the pose networks."""
