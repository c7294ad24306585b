"""Parties: their details, their contact details, and the rights to change them."""
