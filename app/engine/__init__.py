"""The engine's process and how the window speaks to it."""
