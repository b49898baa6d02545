"""The HTTP edge: authentication and request budgets, and every endpoint."""
