"""What a stream missed: told in it, kept, and filled from history."""
