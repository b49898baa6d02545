"""The faults that the simulator can show."""
