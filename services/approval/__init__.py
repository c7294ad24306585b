"""Decides on submitted applications, four eyes at every stage, and books the approved ones as loans."""
