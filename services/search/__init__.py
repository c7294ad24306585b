"""Finds applications in the replica, and shows one in full, from the replica or the lake; owns schema `search`."""
