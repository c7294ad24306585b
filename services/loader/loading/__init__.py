"""One load: its window, its rows, its batch, its watermark and its lineage."""
