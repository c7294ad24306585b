"""The embedded platform: the mesh and all it needs on one machine, as supervised processes, no containers."""
