"""Claims: an officer says that they work on an application, so that nobody else starts on it."""
