"""The order management system: the only process that sends orders, and only those that risk approved."""
