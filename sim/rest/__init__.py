"""The HTTP edge: who may enter, and every endpoint."""
