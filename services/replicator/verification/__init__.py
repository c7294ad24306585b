"""Where replication stands: comparison, lag, status, and catching up."""
