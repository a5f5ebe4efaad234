"""Model families as data: what every backend, and the converter, need to know of a network."""
