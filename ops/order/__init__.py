"""`backbone order`: the whole story of one order, however old."""
