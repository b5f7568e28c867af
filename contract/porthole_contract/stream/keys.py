"""What keys are called, and the X keysyms that they stand for.

A key is a single character (`a`, `é`, `€`), or a name: those of X (`Return`, `Page_Up`), of
browsers (`Enter`, `ArrowLeft`) and the usual short ones (`ctrl`, `esc`), whatever their
case. Several held together are joined by `+`: `ctrl+shift+t`, `alt+F4`, `ctrl++`.
"""

from typing import Final

from porthole_contract.errors import Invalid

_UNICODE: Final = 0x1000000
_LATIN: Final = range(0x20, 0x100)
_MOST_SHOWN: Final = 32

_NAMES: Final[dict[str, int]] = {
    "backspace": 0xFF08,
    "tab": 0xFF09,
    "return": 0xFF0D,
    "enter": 0xFF0D,
    "pause": 0xFF13,
    "scroll_lock": 0xFF14,
    "scrolllock": 0xFF14,
    "escape": 0xFF1B,
    "esc": 0xFF1B,
    "delete": 0xFFFF,
    "del": 0xFFFF,
    "home": 0xFF50,
    "left": 0xFF51,
    "arrowleft": 0xFF51,
    "up": 0xFF52,
    "arrowup": 0xFF52,
    "right": 0xFF53,
    "arrowright": 0xFF53,
    "down": 0xFF54,
    "arrowdown": 0xFF54,
    "page_up": 0xFF55,
    "pageup": 0xFF55,
    "page_down": 0xFF56,
    "pagedown": 0xFF56,
    "end": 0xFF57,
    "print": 0xFF61,
    "printscreen": 0xFF61,
    "insert": 0xFF63,
    "ins": 0xFF63,
    "menu": 0xFF67,
    "contextmenu": 0xFF67,
    "break": 0xFF6B,
    "num_lock": 0xFF7F,
    "numlock": 0xFF7F,
    "kp_enter": 0xFF8D,
    "space": 0x20,
    "plus": 0x2B,
    "minus": 0x2D,
    "shift": 0xFFE1,
    "shift_l": 0xFFE1,
    "shift_r": 0xFFE2,
    "ctrl": 0xFFE3,
    "control": 0xFFE3,
    "control_l": 0xFFE3,
    "control_r": 0xFFE4,
    "caps_lock": 0xFFE5,
    "capslock": 0xFFE5,
    "meta": 0xFFEB,
    "alt": 0xFFE9,
    "alt_l": 0xFFE9,
    "alt_r": 0xFFEA,
    "altgr": 0xFE03,
    "iso_level3_shift": 0xFE03,
    "altgraph": 0xFE03,
    "super": 0xFFEB,
    "super_l": 0xFFEB,
    "super_r": 0xFFEC,
    "win": 0xFFEB,
    "cmd": 0xFFEB,
    "multi_key": 0xFF20,
    "compose": 0xFF20,
    "henkan": 0xFF23,
    "muhenkan": 0xFF22,
    "xf86audiolowervolume": 0x1008FF11,
    "xf86audiomute": 0x1008FF12,
    "xf86audioraisevolume": 0x1008FF13,
    "xf86back": 0x1008FF26,
    "xf86forward": 0x1008FF27,
    **{f"f{number}": 0xFFBD + number for number in range(1, 36)},
    **{f"kp_{number}": 0xFFB0 + number for number in range(10)},
}


def of_character(character: str) -> int:
    """Return the keysym of a character; a line feed is Return, a tab is Tab."""
    if character == "\n":
        return _NAMES["return"]
    if character == "\t":
        return _NAMES["tab"]
    point = ord(character)
    return point if point in _LATIN else _UNICODE + point


def of_name(name: str) -> int:
    """Return the keysym of a key by its name.

    Raises:
        Invalid: no key is called so.
    """
    if len(name) == 1 and name.isprintable():
        return of_character(name)
    keysym = _NAMES.get(name.lower())
    if keysym is None:
        shown = ascii(name if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]}...")
        raise Invalid(
            "keys", f"there is no key named {shown}; a character, or a name such as Return or F5"
        )
    return keysym


def of_chord(chord: str) -> tuple[int, ...]:
    """Return the keysyms of keys held together, e.g. `ctrl+shift+t`.

    Raises:
        Invalid: one of them is no key.
    """
    if chord.endswith("++"):
        names = [*chord[:-2].split("+"), "+"]
    else:
        names = [chord] if len(chord) == 1 else chord.split("+")
    return tuple(of_name(name) for name in names)
