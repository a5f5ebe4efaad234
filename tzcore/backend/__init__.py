"""Ways to run a model: the protocol, the NumPy reference, the Rust CPU core, and the choice between them."""
