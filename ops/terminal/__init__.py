"""What a run shows while it runs: a live view in a terminal, plain lines elsewhere."""
