"""KPIs on pages: which point is shown, how it is written and drawn, and what stands behind it."""
