"""What an OMS holds and takes in: its durable state, what it has observed, inputs and effects."""
