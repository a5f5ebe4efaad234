"""What the window lets its children do on the network, and what they did."""
