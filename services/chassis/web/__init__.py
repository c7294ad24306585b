"""A service's HTTP side: the application, its limits, identity, problems and paging."""
