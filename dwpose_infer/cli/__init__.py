"""The command-line tools. This is the only place of the package that prints."""
