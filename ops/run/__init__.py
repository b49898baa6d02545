"""`backbone demo` and `backbone up`: plan a run, start and supervise its processes, reconcile at its end."""
