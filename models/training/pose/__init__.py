"""The training of pose networks: stages of distillation, losses, validation, one run."""
