"""The default models, shipped with the package so that it works without a download."""
