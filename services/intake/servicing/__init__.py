"""Records what is paid back under booked loans, and shows loans with all that happened to them."""
