"""Lists of applications: what a maker works on, and what others may see."""
