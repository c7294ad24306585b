"""Takes in parties and credit applications, scores and submits them; records what is paid under the booked loans."""
