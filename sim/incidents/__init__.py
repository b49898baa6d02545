"""What happens beside trading, on demand or by itself: faults that begin and end, halts, mistakes, news."""
