"""Rows that the lake starts with: reference data and fifty sample applications."""
