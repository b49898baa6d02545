"""`backbone flatten`: every position of a scope is brought to zero."""
