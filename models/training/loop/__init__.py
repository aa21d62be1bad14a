"""The loop over epochs and steps that runs of all kinds share: learner, checkpoints, logs."""
