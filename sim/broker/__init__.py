"""One account: its orders, what it holds, and the rules of both."""
