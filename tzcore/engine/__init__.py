"""Generation: from a request to text, on any backend."""
