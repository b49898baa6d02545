"""Risk's decisions, explained."""
