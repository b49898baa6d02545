"""The one listener to Alpaca: market data and trade updates, written to streams as they arrive."""
