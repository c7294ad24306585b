"""What a request may send: bodies and parameters, limited in size and parsed strictly."""
