"""Inside a desktop: the first process, which makes it and keeps it.

It starts the X server, paints the wallpaper, starts window manager, panel and programs,
starts again what dies, says when the screen has really been drawn, and stops all of it in
order. It acts as the desktop's user and holds no secret; who may look at the desktop is
the gate's business (`porthole_desktop.gate`).

Standard library only, and every import inside is relative: the folder is bound into
desktops that have nothing of ours but this folder, and is run by its path.
"""
