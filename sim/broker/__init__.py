"""One account's broker: orders, positions, and the rules for both."""
