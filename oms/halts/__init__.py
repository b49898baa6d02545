"""Halts that the OMS makes by itself, and bringing positions and orders to an end."""
