"""Receives parties and credit applications, scores and submits them; records payments under booked loans."""
