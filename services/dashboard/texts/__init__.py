"""The texts of the pages in the languages that there are."""
