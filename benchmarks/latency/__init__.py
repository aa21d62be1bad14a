"""The public latency table, by its own definition, on any machine."""
