"""What the credit bureau said about the people of an application, as officers see it."""
