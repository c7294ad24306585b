"""Where rows come from: one interface, a module a connector."""
