"""Parties: who they are, how they are reached, and who may change them."""
