"""`backbone tail`: entries of streams, for people."""
