"""Traces: read from their store, followed along their links, and drawn."""
