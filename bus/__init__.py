"""The ground floor: messages, stream names, and the few ways in which processes meet in streams."""
