"""An operator's words on one account's book: compare it, accept a difference, assign shares, split them."""
