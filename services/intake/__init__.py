"""Takes in parties and credit applications, scores them and submits them; owns their content until they are decided."""
