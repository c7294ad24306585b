"""The lake's initial rows: reference data and fifty sample applications."""
