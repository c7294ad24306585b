"""Imports: files of applications or payments, kept as they came, whose rows a worker writes."""
