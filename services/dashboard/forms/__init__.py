"""The form of an application, as a file."""
