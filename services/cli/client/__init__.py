"""The services' HTTP APIs for people at a terminal. It needs no package of the services."""
