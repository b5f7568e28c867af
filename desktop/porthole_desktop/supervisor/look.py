"""How the desktop looks: the files of window manager, panel, toolkits and terminal.

Pure: names and texts. They are written into a directory of the session that stands first
in `XDG_CONFIG_DIRS` and `XDG_DATA_DIRS`, so whatever the user keeps in their home wins.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from .config import Config
from .programs import command_of, dpi

_FONT: Final = "DejaVu Sans"
_NIGHT, _DEEP, _MIST, _LIGHT = "#16202f", "#0f1826", "#8fa3bd", "#e8eef6"


def files(config: Config, folder: Path) -> Mapping[str, str]:
    """Return the texts of all files, by their path below `folder`."""
    made = {
        "config/openbox/rc.xml": _openbox(),
        "config/openbox/menu.xml": _menu(config, folder),
        "config/gtk-2.0/gtkrc": _GTK2,
        "config/gtk-3.0/settings.ini": _GTK3,
        "data/themes/Porthole/openbox-3/themerc": _THEME,
        "tint2rc": _panel(config, folder),
    }
    for number, program in enumerate(config.programs):
        # A script each, so that one way of quoting is enough for menu and panel.
        made[_script_path(number)] = f"exec {shlex.join(command_of(program, config.start))}\n"
        made[_entry_path(number)] = "\n".join(
            (
                "[Desktop Entry]",
                "Type=Application",
                f"Name={program.name}",
                f"Exec={_run(folder, number)}",
                f"Icon={program.icon or 'application-x-executable'}",
                "",
            )
        )
    return made


def resources(config: Config) -> str:
    """Return the X resources: what programs without a toolkit look like."""
    return "\n".join(
        (
            f"Xft.dpi: {dpi(config)}",
            "Xft.antialias: 1",
            "Xft.hinting: 1",
            "Xft.hintstyle: hintslight",
            "Xft.rgba: none",
            "Xcursor.theme: Adwaita",
            f"Xcursor.size: {round(24 * config.scale / 100)}",
            "XTerm*faceName: DejaVu Sans Mono",
            "XTerm*faceSize: 11",
            "XTerm*utf8: 2",
            "XTerm*locale: true",
            "XTerm*title: Terminal",
            "XTerm*iconHint: filled-xterm",
            "XTerm*internalBorder: 8",
            "XTerm*saveLines: 10000",
            "XTerm*scrollBar: false",
            "XTerm*selectToClipboard: true",
            "XTerm*metaSendsEscape: true",
            "XTerm*background: #101a28",
            "XTerm*foreground: #dce5f0",
            "XTerm*cursorColor: #f4c98f",
            *(f"XTerm*color{i}: {colour}" for i, colour in enumerate(_TERMINAL)),
            "",
        )
    )


_TERMINAL: Final = (
    "#1b2738", "#e07a6f", "#8fc08a", "#e3b873", "#6fa3d8", "#b48fd0", "#73bfc4", "#c9d4e2",
    "#4a5c75", "#f09a8f", "#a9d6a4", "#f4cf93", "#92bdea", "#cbaae4", "#95d6da", "#f3f7fc",
)  # fmt: skip


def _openbox() -> str:
    buttons = "".join(
        f"<keybind key={quoteattr(key)}><action name={quoteattr(action)}/></keybind>"
        for key, action in (
            ("A-F4", "Close"),
            ("A-Tab", "NextWindow"),
            ("A-S-Tab", "PreviousWindow"),
            ("A-space", "ToggleMaximize"),
            ("W-d", "ToggleShowDesktop"),
        )
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<openbox_config xmlns="http://openbox.org/3.4/rc">
<focus><focusNew>yes</focusNew><followMouse>no</followMouse></focus>
<placement><policy>Smart</policy><center>yes</center></placement>
<theme><name>Porthole</name><titleLayout>NLIMC</titleLayout><keepBorder>yes</keepBorder>
<font place="ActiveWindow"><name>{_FONT}</name><size>10</size><weight>Normal</weight></font>
<font place="InactiveWindow"><name>{_FONT}</name><size>10</size><weight>Normal</weight></font>
<font place="MenuHeader"><name>{_FONT}</name><size>10</size><weight>Normal</weight></font>
<font place="MenuItem"><name>{_FONT}</name><size>10</size><weight>Normal</weight></font>
</theme>
<desktops><number>1</number><popupTime>0</popupTime></desktops>
<resize><drawContents>yes</drawContents></resize>
<keyboard>{buttons}</keyboard>
<mouse><dragThreshold>3</dragThreshold><doubleClickTime>400</doubleClickTime>
<context name="Frame">
<mousebind button="A-Left" action="Press"><action name="Focus"/><action name="Raise"/></mousebind>
<mousebind button="A-Left" action="Drag"><action name="Move"/></mousebind>
<mousebind button="A-Right" action="Drag"><action name="Resize"/></mousebind>
</context>
<context name="Titlebar">
<mousebind button="Left" action="Press"><action name="Focus"/><action name="Raise"/></mousebind>
<mousebind button="Left" action="Drag"><action name="Move"/></mousebind>
<mousebind button="Left" action="DoubleClick"><action name="ToggleMaximize"/></mousebind>
<mousebind button="Right" action="Press"><action name="ShowMenu"><menu>client-menu</menu></action>
</mousebind>
</context>
<context name="Client">
<mousebind button="Left" action="Press"><action name="Focus"/><action name="Raise"/></mousebind>
<mousebind button="Middle" action="Press"><action name="Focus"/><action name="Raise"/></mousebind>
<mousebind button="Right" action="Press"><action name="Focus"/><action name="Raise"/></mousebind>
</context>
{_edges()}
<context name="Close"><mousebind button="Left" action="Click"><action name="Close"/></mousebind>
</context>
<context name="Maximize">
<mousebind button="Left" action="Click"><action name="ToggleMaximize"/></mousebind>
</context>
<context name="Iconify"><mousebind button="Left" action="Click"><action name="Iconify"/></mousebind>
</context>
<context name="Root">
<mousebind button="Right" action="Press"><action name="ShowMenu"><menu>root-menu</menu></action>
</mousebind>
</context>
</mouse>
<menu><file>menu.xml</file></menu>
</openbox_config>
"""


def _edges() -> str:
    return "".join(
        f'<context name="{place}"><mousebind button="Left" action="Drag">'
        f'<action name="Resize"><edge>{edge}</edge></action></mousebind></context>'
        for place, edge in (
            ("Top", "top"),
            ("Bottom", "bottom"),
            ("Left", "left"),
            ("Right", "right"),
            ("TLCorner", "topleft"),
            ("TRCorner", "topright"),
            ("BLCorner", "bottomleft"),
            ("BRCorner", "bottomright"),
        )
    )


def _menu(config: Config, folder: Path) -> str:
    items = "".join(
        f'<item label={quoteattr(program.name)}><action name="Execute"><command>'
        f"{escape(_run(folder, number))}</command></action></item>\n"
        for number, program in enumerate(config.programs)
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<openbox_menu xmlns="http://openbox.org/3.4/menu">
<menu id="root-menu" label="Desktop">
{items}<separator/>
<menu id="client-list-combined-menu"/>
</menu>
</openbox_menu>
"""


def _run(folder: Path, number: int) -> str:
    return f"/bin/sh {folder / _script_path(number)}"


def _script_path(number: int) -> str:
    return f"programs/{number}"


def _entry_path(number: int) -> str:
    return f"data/applications/porthole-{number}.desktop"


def _panel(config: Config, folder: Path) -> str:
    height = round(36 * config.scale / 100)
    # The panel goes by no resource of X.
    large, small = (f"{_FONT} {round(size * config.scale / 100)}" for size in (10, 9))
    launchers = "\n".join(
        f"launcher_item_app = {folder / _entry_path(number)}"
        for number in range(len(config.programs))
    )
    return f"""rounded = 0
border_width = 0
background_color = {_DEEP} 92
rounded = 4
border_width = 0
background_color = #ffffff 8
background_color_hover = #ffffff 16
rounded = 4
border_width = 0
background_color = #5b7fae 55
background_color_hover = #5b7fae 70

panel_items = LTSC
panel_monitor = all
panel_position = bottom center horizontal
panel_size = 100% {height}
panel_margin = 0 0
panel_padding = 6 3 6
panel_background_id = 1
panel_layer = top
panel_dock = 0
wm_menu = 1
strut_policy = follow_size
mouse_effects = 1
font_shadow = 0

launcher_padding = 2 2 6
launcher_background_id = 0
launcher_icon_background_id = 0
launcher_icon_size = {round(24 * config.scale / 100)}
launcher_icon_theme = Adwaita
launcher_icon_theme_override = 0
launcher_tooltip = 1
startup_notifications = 0
{launchers}

taskbar_mode = single_desktop
taskbar_padding = 6 1 4
taskbar_background_id = 0
taskbar_active_background_id = 0
taskbar_name = 0
taskbar_hide_if_empty = 0
task_text = 1
task_icon = 1
task_centered = 0
task_maximum_size = {round(190 * config.scale / 100)} {height}
task_padding = 8 2 6
task_font = {small}
task_font_color = {_MIST} 100
task_active_font_color = {_LIGHT} 100
task_background_id = 2
task_active_background_id = 3
task_iconified_font_color = {_MIST} 70
mouse_left = toggle_iconify
mouse_middle = none
mouse_right = close

systray_padding = 6 2 4
systray_background_id = 0
systray_sort = ascending
systray_icon_size = {round(20 * config.scale / 100)}

time1_format = %H:%M
time1_font = {large}
time2_format =
clock_font_color = {_LIGHT} 100
clock_padding = 10 0
clock_background_id = 0
clock_tooltip = %A %-d %B %Y

tooltip_show_timeout = 0.5
tooltip_hide_timeout = 0.2
tooltip_padding = 8 4
tooltip_background_id = 1
tooltip_font = {small}
tooltip_font_color = {_LIGHT} 100
"""


_GTK3: Final = f"""[Settings]
gtk-theme-name=Adwaita
gtk-icon-theme-name=Adwaita
gtk-cursor-theme-name=Adwaita
gtk-font-name={_FONT} 10
gtk-xft-antialias=1
gtk-xft-hinting=1
gtk-xft-hintstyle=hintslight
gtk-xft-rgba=none
gtk-enable-event-sounds=0
gtk-primary-button-warps-slider=0
"""

# The colours of Adwaita for the programs that have not moved on, without its engine.
_GTK2: Final = f"""gtk-icon-theme-name = "Adwaita"
gtk-cursor-theme-name = "Adwaita"
gtk-font-name = "{_FONT} 10"
gtk-button-images = 0
gtk-toolbar-style = GTK_TOOLBAR_ICONS

style "porthole" {{
  bg[NORMAL] = "#f6f5f4"
  bg[PRELIGHT] = "#ffffff"
  bg[ACTIVE] = "#e1dfdc"
  bg[SELECTED] = "#3a6ea8"
  bg[INSENSITIVE] = "#f4f3f2"
  fg[NORMAL] = "#2e3436"
  fg[PRELIGHT] = "#2e3436"
  fg[SELECTED] = "#ffffff"
  fg[INSENSITIVE] = "#929595"
  base[NORMAL] = "#ffffff"
  base[SELECTED] = "#3a6ea8"
  base[ACTIVE] = "#9fb8d6"
  text[NORMAL] = "#2e3436"
  text[SELECTED] = "#ffffff"
  xthickness = 1
  ythickness = 1
  GtkMenuBar::shadow-type = GTK_SHADOW_NONE
  GtkToolbar::shadow-type = GTK_SHADOW_NONE
  GtkStatusbar::shadow-type = GTK_SHADOW_NONE
  GtkScrollbar::slider-width = 10
  GtkScrollbar::has-backward-stepper = 0
  GtkScrollbar::has-forward-stepper = 0
  GtkPaned::handle-size = 5
}}
style "selected" {{
  fg[PRELIGHT] = "#ffffff"
  bg[PRELIGHT] = "#3a6ea8"
}}
class "GtkWidget" style "porthole"
widget_class "*<GtkMenuItem>*" style "selected"
"""

_THEME: Final = f"""border.width: 1
padding.width: 8
padding.height: 5
window.handle.width: 0
window.client.padding.width: 0
window.client.padding.height: 0
menu.overlap: 0

window.active.border.color: #2c3d55
window.inactive.border.color: #1e2b3e
window.active.title.bg: flat solid
window.active.title.bg.color: {_NIGHT}
window.inactive.title.bg: flat solid
window.inactive.title.bg.color: #1c2738
window.active.label.bg: parentrelative
window.inactive.label.bg: parentrelative
window.active.label.text.color: {_LIGHT}
window.inactive.label.text.color: #7d8da4
window.label.text.justify: center
window.active.title.separator.color: {_NIGHT}
window.inactive.title.separator.color: #1c2738

window.active.button.unpressed.bg: parentrelative
window.active.button.unpressed.image.color: {_MIST}
window.active.button.hover.bg: flat solid
window.active.button.hover.bg.color: #2c3d55
window.active.button.hover.image.color: {_LIGHT}
window.active.button.pressed.bg: flat solid
window.active.button.pressed.bg.color: #3b5173
window.active.button.pressed.image.color: {_LIGHT}
window.active.button.disabled.bg: parentrelative
window.active.button.disabled.image.color: #4a5a72
window.inactive.button.unpressed.bg: parentrelative
window.inactive.button.unpressed.image.color: #56667e
window.inactive.button.hover.bg: parentrelative
window.inactive.button.hover.image.color: {_LIGHT}
window.inactive.button.pressed.bg: parentrelative
window.inactive.button.pressed.image.color: {_LIGHT}
window.inactive.button.disabled.bg: parentrelative
window.inactive.button.disabled.image.color: #3a4a62

menu.border.width: 1
menu.border.color: #2c3d55
menu.title.bg: flat solid
menu.title.bg.color: {_NIGHT}
menu.title.text.color: {_MIST}
menu.title.text.justify: left
menu.items.bg: flat solid
menu.items.bg.color: #1c2738
menu.items.text.color: {_LIGHT}
menu.items.disabled.text.color: #5d6d85
menu.items.active.bg: flat solid
menu.items.active.bg.color: #34588a
menu.items.active.text.color: #ffffff
menu.separator.color: #2c3d55
menu.separator.padding.height: 4

osd.border.width: 1
osd.border.color: #2c3d55
osd.bg: flat solid
osd.bg.color: {_NIGHT}
osd.label.bg: parentrelative
osd.label.text.color: {_LIGHT}
osd.hilight.bg: flat solid
osd.hilight.bg.color: #34588a
"""
