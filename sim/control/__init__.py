"""The control endpoint, on loopback only: what the person who runs a test may ask and do."""
