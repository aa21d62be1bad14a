"""From picture to result with real networks, stage by stage and beside other programs."""
