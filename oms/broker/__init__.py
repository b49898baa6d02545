"""What is asked of the broker, in which order, how fast, and what its answers mean."""
