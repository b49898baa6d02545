"""The book and the broker side by side: what was missed is booked, the rest is told."""
