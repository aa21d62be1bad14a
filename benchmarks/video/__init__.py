"""Videos: frames per second of `Predictor.stream`, of a plain loop and of rtmlib."""
