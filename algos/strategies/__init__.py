"""Worked examples: two strategies, each on one screen."""
