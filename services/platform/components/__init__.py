"""The components of the platform: one module for each, and their shared modules."""
