"""The journal, its chain and its snapshots: written, read, folded, compared."""
