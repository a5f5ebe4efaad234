"""Measurements on a card: single kernels, whole models with random weights, and what to hold them against."""
