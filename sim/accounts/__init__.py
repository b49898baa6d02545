"""Each trading account as REST and streams see it: its broker, its updates, and its equity over time."""
