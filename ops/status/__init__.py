"""How everything stands: the model, the snapshot that fills it, and `backbone status`."""
