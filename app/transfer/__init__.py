"""Conversations out of the program and into it: Markdown, its own JSON, and other programs' exports."""
