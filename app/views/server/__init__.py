"""The server for other programs."""
