"""What a service serves over HTTP: the application, its limits, identity, problems and paging."""
