"""Where models come from, and the library of those installed."""
