"""The tests: a package, because marquez-python installs one of this name, which would be found before a mere folder."""
