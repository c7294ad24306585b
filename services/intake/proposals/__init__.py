"""Proposals under a booked loan: one person proposes, another confirms, and only then the change is made."""
