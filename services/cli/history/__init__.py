"""Bring a bank's history into the lake: files to rows, checked, once."""
