"""Alpaca's market-data API: history and snapshots, within one budget of requests."""
