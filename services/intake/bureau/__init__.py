"""The credit bureau: asked about the people of a submitted application, after its submission and beside it."""
