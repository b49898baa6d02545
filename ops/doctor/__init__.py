"""`backbone doctor`: facts about a set-up, and what is wrong with them."""
