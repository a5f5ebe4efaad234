"""What went out to the network."""
