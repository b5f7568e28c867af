"""Where sessions run: the port, and one folder for each kind of place."""
