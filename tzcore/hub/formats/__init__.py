"""Readers of original weights, one file a format; each gives a :class:`~tzcore.checkpoint.source.WeightSource`."""
