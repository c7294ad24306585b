"""Changes of a product's parameters: one person proposes, another confirms, and they count from a later day."""
