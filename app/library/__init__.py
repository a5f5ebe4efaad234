"""Models: installed, offered, found, and what each would cost."""
