"""The server for other programs, as far as the window governs it."""
