"""The OpenAI-compatible server: what the window, foreign clients and scripts speak to."""
