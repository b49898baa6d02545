"""Each account as the edges see it: its desk, who listens to it, and what it was worth."""
