"""A long run: whether memory and latency stay as they began."""
