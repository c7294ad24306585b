"""`make bench-api`: the HTTP APIs beside the least that could do the same work."""
