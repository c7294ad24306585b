"""Sessions and the keys that sign their tokens."""
