"""A feed that cannot be had: what stands in for it, and when it is tried again."""
