"""Limits by account, algorithm and symbol: what there are, where they stand, what they come to."""
