"""What the platform is made of: one module for each part that is started, and what its parts share."""
