"""`backbone journal`: the journal as a file, and whether it is what was written."""
