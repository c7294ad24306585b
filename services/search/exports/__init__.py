"""Everything that a search finds as a file: streamed, masked, recorded."""
