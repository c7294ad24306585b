"""What takes two people under a booked loan: one proposes it, another confirms it, and only then it counts."""
