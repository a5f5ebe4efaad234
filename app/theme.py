"""Colours, type, spacing and radii of the window, light and dark; follows the system until told otherwise.

Every colour and every measure is named once, by what it is for.  ``Theme.changed`` is emitted after the
application's palette, font and style sheet are in place; widgets that paint or build HTML by themselves then take
``Theme.colours`` afresh.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from string import Template

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

from tzcore import paths

MODES = ("system", "light", "dark")
LEAST_POINTS = 10.5
"""The system's interface font is used no smaller than this."""


class Space:
    """The spacing grid, in logical pixels: steps of 4."""

    HAIR = 2
    TINY = 4
    """Between a line and its continuation, an icon and its badge."""
    SMALL = 8
    """Between things that belong together."""
    MEDIUM = 12
    """Inside rows and fields."""
    WIDE = 16
    """Inside cards; between groups."""
    LARGE = 24
    """Between sections; the margin of dialogs and narrow pages."""
    PAGE = 32
    """The margin of pages."""


class Radius:
    """Roundness in logical pixels, by the size of what is rounded."""

    SMALL = 6
    """Tags, rows of lists and menus, keys."""
    CONTROL = 8
    """Buttons and fields."""
    CARD = 12
    """Cards, code, tables, pop-ups."""
    LARGE = 16
    """The composer and the user's messages."""


class TypeScale:
    """Sizes of type, as shares of the interface font's."""

    SMALL = 0.88
    BODY = 1.0
    HEADING = 1.12
    TITLE = 1.4
    DISPLAY = 1.9


@dataclass(frozen=True)
class Colours:
    """One scheme.  Text on ``window``, ``surface`` and ``sidebar`` has a contrast of at least 4.5 : 1."""

    dark: bool
    window: str
    sidebar: str
    rail: str
    surface: str
    """Cards, the composer, menus: what stands on the window."""
    sunken: str
    """Code, inline code, table heads, progress tracks."""
    hover: str
    pressed: str
    border: str
    border_strong: str
    control: str
    """Outlines that alone show where a control is: 3 : 1 against what it stands on."""
    text: str
    muted: str
    faint: str
    """Decoration only: never the sole carrier of a meaning."""
    accent: str
    accent_hover: str
    accent_text: str
    """The accent where it is text, also on its own wash."""
    on_accent: str
    accent_soft: str
    """A wash of the accent: selection, the user's messages."""
    danger: str
    danger_soft: str
    warning: str
    warning_soft: str
    success: str
    success_soft: str
    code_keyword: str
    code_string: str
    code_number: str
    code_comment: str
    code_function: str
    code_type: str
    code_operator: str

    def code(self, role: str) -> str:
        """The colour of a :data:`app.text.highlight.ROLES` role."""
        if role == "inserted":
            return self.success
        if role == "deleted":
            return self.danger
        return str(getattr(self, f"code_{role}"))


LIGHT = Colours(
    dark=False,
    window="#fdfdfc",
    sidebar="#f5f5f2",
    rail="#ecece8",
    surface="#ffffff",
    sunken="#f3f3f0",
    hover="#ebebe7",
    pressed="#e0e0db",
    border="#e4e4df",
    border_strong="#cfcfc8",
    control="#83867d",
    text="#1f211f",
    muted="#5f635b",
    faint="#a3a69e",
    accent="#0b7a68",
    accent_hover="#096a5a",
    accent_text="#086b5b",
    on_accent="#ffffff",
    accent_soft="#e6f2ef",
    danger="#b3362b",
    danger_soft="#fbebe9",
    warning="#8a5a00",
    warning_soft="#fcf3df",
    success="#23743b",
    success_soft="#e7f4ea",
    code_keyword="#8b3fa8",
    code_string="#2f7a3b",
    code_number="#a8540c",
    code_comment="#6a6d66",
    code_function="#1f5fb4",
    code_type="#0b7a68",
    code_operator="#555a52",
)

DARK = Colours(
    dark=True,
    window="#191b1a",
    sidebar="#141615",
    rail="#0e100f",
    surface="#222524",
    sunken="#121413",
    hover="#2a2e2c",
    pressed="#343937",
    border="#2e3230",
    border_strong="#454b48",
    control="#7c837f",
    text="#e6e8e5",
    muted="#9ea49f",
    faint="#666c68",
    accent="#4cc9ae",
    accent_hover="#6ad6be",
    accent_text="#5fd2b9",
    on_accent="#06211b",
    accent_soft="#1f322d",
    danger="#f0897c",
    danger_soft="#3a2321",
    warning="#e3b15c",
    warning_soft="#362c19",
    success="#7fcf90",
    success_soft="#1f3225",
    code_keyword="#cf9be6",
    code_string="#9bd08a",
    code_number="#e6ac6f",
    code_comment="#818a84",
    code_function="#83b5f5",
    code_type="#62d0b8",
    code_operator="#b4bab5",
)


class Theme(QObject):
    """Dresses the whole application.  ``mode`` is ``"system"``, ``"light"`` or ``"dark"``."""

    changed = Signal()

    def __init__(self, app: QApplication, mode: str = "system", scale: int = 100) -> None:
        """``scale``: the text's size in percent of the system's."""
        super().__init__(app)
        self._app = app
        self._mode = mode if mode in MODES else "system"
        self._scale = scale
        self._colours = LIGHT
        self._told = Qt.ColorScheme.Unknown
        app.setStyle(QStyleFactory.create("Fusion"))
        hints = QGuiApplication.styleHints()
        hints.colorSchemeChanged.connect(self._on_system_change)
        self._apply()

    @property
    def colours(self) -> Colours:
        return self._colours

    @property
    def mode(self) -> str:
        return self._mode

    def set_mode(self, mode: str) -> None:
        """ValueError for a mode that is none of :data:`MODES`."""
        if mode not in MODES:
            raise ValueError(f"theme: {mode!r} is none of {', '.join(MODES)}")
        if mode != self._mode:
            self._mode = mode
            self._apply()

    @property
    def scale(self) -> int:
        return self._scale

    def set_scale(self, scale: int) -> None:
        """Another size of text, in percent of the system's."""
        if scale != self._scale:
            self._scale = scale
            self._apply()

    def _on_system_change(self) -> None:
        if self._mode == "system":
            self._apply()

    def _wanted(self) -> Colours:
        if self._mode == "system":
            scheme = QGuiApplication.styleHints().colorScheme()
            return DARK if scheme == Qt.ColorScheme.Dark else LIGHT
        return DARK if self._mode == "dark" else LIGHT

    def _apply(self) -> None:
        self._tell_system()  # first: what the system wants is asked after it
        self._colours = self._wanted()
        font = interface_font(self._scale)
        self._app.setPalette(palette(self._colours))
        self._app.setFont(font)
        self._app.setStyleSheet(style_sheet(self._colours, font.pointSizeF()))
        self.changed.emit()

    def _tell_system(self) -> None:
        """Title bars and the system's own dialogs take the scheme that was chosen."""
        schemes = {"light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}
        hints, wanted = QGuiApplication.styleHints(), schemes.get(self._mode, Qt.ColorScheme.Unknown)
        if self._told != wanted:
            self._told = wanted
            hints.setColorScheme(wanted)


def interface_font(scale: int = 100) -> QFont:
    """The system's own interface font, no smaller than what is comfortable to read, times ``scale`` percent."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    font.setPointSizeF(max(LEAST_POINTS, font.pointSizeF()) * scale / 100)
    font.setHintingPreference(QFont.HintingPreference.PreferVerticalHinting)
    return font


def code_font(scale: float = 0.94) -> QFont:
    """The system's monospaced font, a little smaller than the text around it."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPointSizeF(QGuiApplication.font().pointSizeF() * scale)
    font.setStyleHint(QFont.StyleHint.Monospace)
    return font


def palette(colours: Colours) -> QPalette:
    """Qt's palette in these colours; what the style sheet does not reach takes them from here."""
    result = QPalette()
    roles = {
        QPalette.ColorRole.Window: colours.window,
        QPalette.ColorRole.WindowText: colours.text,
        QPalette.ColorRole.Base: colours.surface,
        QPalette.ColorRole.AlternateBase: colours.sunken,
        QPalette.ColorRole.Text: colours.text,
        QPalette.ColorRole.Button: colours.surface,
        QPalette.ColorRole.ButtonText: colours.text,
        QPalette.ColorRole.BrightText: colours.danger,
        QPalette.ColorRole.ToolTipBase: colours.surface,
        QPalette.ColorRole.ToolTipText: colours.text,
        QPalette.ColorRole.PlaceholderText: colours.muted,
        QPalette.ColorRole.Highlight: colours.accent,
        QPalette.ColorRole.HighlightedText: colours.on_accent,
        QPalette.ColorRole.Link: colours.accent,
        QPalette.ColorRole.LinkVisited: colours.accent,
        QPalette.ColorRole.Light: colours.surface,
        QPalette.ColorRole.Mid: colours.border,
        QPalette.ColorRole.Dark: colours.border_strong,
        QPalette.ColorRole.Shadow: colours.border_strong,
    }
    for role, colour in roles.items():
        result.setColor(role, QColor(colour))
    disabled = (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText)
    for role in disabled:
        result.setColor(QPalette.ColorGroup.Disabled, role, QColor(colours.faint))
    return result


def style_sheet(colours: Colours, points: float = LEAST_POINTS) -> str:
    """``resources/theme.qss`` with colours and measures filled in; an unknown name in it is a KeyError.

    ``points``: the size of the interface font, of which the type scale's are shares.
    """
    text = (paths.resources() / "theme.qss").read_text(encoding="utf-8")
    icons = (paths.resources() / "icons").as_posix()
    measures = {f"space_{name}": f"{size}px" for name, size in _named(Space).items()}
    measures |= {f"radius_{name}": f"{size}px" for name, size in _named(Radius).items()}
    measures |= {f"type_{name}": f"{points * share:.2f}pt" for name, share in _named(TypeScale).items()}
    return Template(text).substitute(
        asdict(colours), **measures, icons=icons, scheme="dark" if colours.dark else "light"
    )


def _named(scale: type) -> dict[str, float]:
    return {name.lower(): value for name, value in vars(scale).items() if name.isupper()}
