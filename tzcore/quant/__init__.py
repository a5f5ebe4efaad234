"""Conversion of original weights into small integers with group scales, and its evaluation."""
