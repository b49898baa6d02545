"""The pages under docs/reference, generated from the code: settings, refusals, events."""
