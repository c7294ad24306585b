"""Owns users, their sessions and the signing keys; issues the access tokens that every other service verifies."""
