"""The CUDA backend: models on an NVIDIA card, with nothing but its driver installed."""
