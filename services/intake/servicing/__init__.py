"""Records what is paid out and back under booked loans, corrects it by reversals, and shows loans."""
