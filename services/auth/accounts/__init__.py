"""Users: their passwords, what administrators grant them, and the record of it."""
