"""The jobs page and what belongs to a job: its card, its log, the history."""
