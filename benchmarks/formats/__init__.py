"""How fast poses are written, beside Python's own json."""
