"""What is expected of a feed, and how it is found out that nothing comes."""
