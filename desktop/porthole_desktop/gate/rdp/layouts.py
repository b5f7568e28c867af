"""Keyboard layouts as RDP numbers them, for the names that X knows them by. Pure.

The numbers are Windows' input locales; which of them a desktop takes, `xrdp_keyboard.ini` says.
"""

from typing import Final

US: Final = 0x409
_NUMBERS: Final = {
    "us": US,
    "us(dvorak)": 0x10409,
    "us(dvp)": 0x19360409,
    "be": 0x813,
    "br": 0x416,
    "ch": 0x807,
    "ch(fr)": 0x100C,
    "de": 0x407,
    "dk": 0x406,
    "es": 0x40A,
    "fi": 0x40B,
    "fr": 0x40C,
    "gb": 0x809,
    "it": 0x410,
    "jp": 0x411,
    "kr": 0x412,
    "latam": 0x80A,
    "no": 0x414,
    "pl": 0x415,
    "pt": 0x816,
    "ru": 0x419,
    "se": 0x41D,
}


def number_of(layout: str) -> int:
    """Return the number of a layout; of a variant that has none, that of its layout.

    What has no number is the American one, as a desktop takes what it does not know.
    """
    return _NUMBERS.get(layout) or _NUMBERS.get(layout.partition("(")[0], US)
