"""OpenLineage events: what one must look like, and the rows that follow from any set of them."""
