"""Where data come from: OpenLineage events in, the graph of jobs, datasets and columns out."""
