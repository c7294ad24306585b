"""The graph read back: datasets, jobs, runs, columns, searched and walked."""
