"""Imports a bank's history into the lake: reads files, checks them, and writes each row once."""
