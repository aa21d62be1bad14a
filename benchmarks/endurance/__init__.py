"""Threads and batches, cold starts, and whether a long run stays as it began."""
