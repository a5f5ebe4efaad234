"""The list of conversations and pages."""
