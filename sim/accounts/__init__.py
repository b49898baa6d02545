"""Each account as the edges see it: its account, who listens to it, and what it was worth."""
