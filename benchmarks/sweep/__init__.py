"""Latency and throughput of networks over threads and sizes of batch."""
