"""The objects of documents and of imports in their store."""
