"""Reference prices: what the market's entries make of them."""
