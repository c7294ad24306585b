"""YAML files that people write, and faults in them that are told with file, line and field."""
