"""The window: PySide6 over the engine child; no mathematics, and never torch, transformers or the engine."""
