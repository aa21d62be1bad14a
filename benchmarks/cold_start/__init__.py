"""From nothing to the first result, in fresh processes."""
