"""Every check that an order must pass, and every code with which it may be refused."""
