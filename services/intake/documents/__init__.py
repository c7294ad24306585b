"""Documents of applications: uploaded as they are, checked by content, encrypted, scanned, then downloadable."""
