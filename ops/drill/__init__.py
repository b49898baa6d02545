"""Drills: what is promised for the worst day, tried with real processes and measured."""
