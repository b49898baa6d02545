"""The websocket edge: market data and trade updates."""
