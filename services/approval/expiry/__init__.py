"""Expiry: applications that nobody has moved on for a long time end."""
