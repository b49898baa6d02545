"""What algorithms ask for: decided on, and followed until the broker's word is known."""
