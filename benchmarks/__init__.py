"""Benchmarks: each figure beside the limit that was measured in the same run. They are not tests."""
