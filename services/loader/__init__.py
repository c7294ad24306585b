"""Loads the warehouse's landing (schema `dl`) from the lake and other sources, by flow files, exactly once a window."""
