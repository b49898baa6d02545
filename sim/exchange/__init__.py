"""What trades: assets, sessions, generated and recorded markets, bars."""
