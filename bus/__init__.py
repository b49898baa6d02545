"""Messages, names of streams, and how every process reads and writes streams."""
