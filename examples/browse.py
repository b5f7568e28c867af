"""A browser, driven: open a page, go on to another, keep a picture of what it shows."""

from pathlib import Path

from porthole_client import Porthole

PAGE = "data:text/html,<title>Hello</title><h1>Hello from a program</h1>"

with Porthole() as porthole, porthole.sessions.running("browser", start="about:blank") as session:
    desktop = porthole.desktop(session)
    desktop.wait_window("Chromium", within=60)
    desktop.press("ctrl+l")
    desktop.type(f"{PAGE}\n")
    desktop.wait_window("Hello")
    desktop.wait_still()
    Path("page.png").write_bytes(desktop.screenshot())
