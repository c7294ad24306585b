"""The pages of a lending team: it calls the services with the user's own token; owns schema `dashboard`."""
