"""Alpaca's streams: connected, tapped, subscribed, and what they answer."""
