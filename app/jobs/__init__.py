"""Downloads and conversions in the background."""
