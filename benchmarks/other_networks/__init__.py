"""Time and accuracy beside pipelines that run networks of their own."""
