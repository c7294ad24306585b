"""Changes of approval bands: one person proposes all bands of a currency from a later day on, another confirms."""
