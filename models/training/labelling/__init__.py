"""The command `dwpose-train labels`: points from another pose network, where it is sure of them."""
