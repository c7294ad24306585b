"""Changes that one person proposes and another confirms: what all kinds of them have in common."""
