"""What happens beside trading, on demand or at random: faults, halts, mistakes of the tape, news."""
