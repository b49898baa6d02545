"""The control endpoint, on loopback only, for the person or the test that runs the simulator."""
