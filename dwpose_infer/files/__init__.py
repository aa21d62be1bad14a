"""Files as everything here writes them: whole or not at all, and whole again after a kill."""
