"""The input of requests: bodies and parameters, limited in size and parsed strictly."""
