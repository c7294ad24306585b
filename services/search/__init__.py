"""Finds applications in the replica and shows one whole, from the replica or the lake; owns schema `search`."""
