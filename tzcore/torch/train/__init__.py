"""Training of ternarised models: healing by following the original's predictions."""
