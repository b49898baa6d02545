"""What a server does not take: on disk, in order, until it does."""
