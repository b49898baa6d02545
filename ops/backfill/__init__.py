"""History brought in from Alpaca afterwards, into streams or a file."""
