"""The embedded platform: the mesh and its dependencies on one machine, as supervised processes without containers."""
