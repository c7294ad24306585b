"""What a request may take: time, and its share of all requests."""
