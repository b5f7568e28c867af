"""The `.rdp` file that RDP programs are started with. There is no password in it. Pure."""

from typing import Final

USER: Final = "porthole"
"""The name to give; only the password is looked at."""


def rdp_file(address: str) -> str:
    """Return the text of a file that leads to `address` (`host:port`)."""
    settings = (
        f"full address:s:{address}",
        f"username:s:{USER}",
        "prompt for credentials:i:1",
        "enablecredsspsupport:i:0",
        "authentication level:i:2",
        "negotiate security layer:i:1",
        "session bpp:i:32",
        "redirectclipboard:i:1",
        "redirectprinters:i:0",
        "redirectdrives:i:0",
        "redirectsmartcards:i:0",
        "audiomode:i:2",
        "autoreconnection enabled:i:0",
        "smart sizing:i:1",
    )
    return "".join(f"{line}\r\n" for line in settings)
