"""Records payments under booked loans, and shows loans with their transactions."""
