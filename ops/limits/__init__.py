"""Limits: shown, explained, and changed while the OMS runs."""
