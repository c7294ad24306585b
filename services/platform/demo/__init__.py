"""The demonstration: real applications through the public APIs, and what became of them."""
