"""An assistant's way to desktops: a server of the Model Context Protocol on standard input."""
