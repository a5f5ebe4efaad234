"""Files that are given with a message."""
