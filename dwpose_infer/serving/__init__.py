"""The networks behind HTTP; the command `dwpose-serve` starts it."""
