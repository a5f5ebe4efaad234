"""Qt item models, and the state that a view shows."""
