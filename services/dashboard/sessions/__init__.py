"""Logins of people, kept on the server, and the gate that asks for one."""
