"""What the work outside the networks costs: ours, rtmlib's and the official recipe's."""
