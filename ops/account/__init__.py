"""`backbone account`: what an operator does with the journal of an account as a whole."""
