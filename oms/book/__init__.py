"""What is held and what is open: orders, positions, cash, reservations, as folds over the journal."""
