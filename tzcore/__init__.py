"""Ternary-Zero's engine library: ternary language models, from their weights to an answer.

Importable without Qt, torch or a GPU.  ``import tzcore`` itself imports nothing heavy.
"""

__version__ = "0.1.0"
