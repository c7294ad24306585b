"""What a request may take: time."""
