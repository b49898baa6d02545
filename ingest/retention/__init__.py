"""How much market data is kept, and what goes first."""
