"""HTTP in and out of the lineage service."""
