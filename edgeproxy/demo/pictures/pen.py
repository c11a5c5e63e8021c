"""The pen: colours, and the few SVG shapes that every drawing is made of.

Coordinates are SVG user units; a product is drawn on a square of 400 by 400.  Colours are ``#rrggbb``.
"""

from __future__ import annotations

from dataclasses import dataclass

INK = "#22302b"
PAPER = "#fffdf8"
WOOD = "#b98552"
STEEL = "#9aa5a6"


def mix(one: str, other: str, share: float) -> str:
    """The colour on the way from ``one`` (share 0) to ``other`` (share 1)."""
    pairs = ((int(one[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def dark(colour: str, share: float = 0.22) -> str:
    return mix(colour, "#13201f", share)


def light(colour: str, share: float = 0.25) -> str:
    return mix(colour, "#fffaf0", share)


@dataclass(frozen=True, slots=True)
class Tint:
    """The two colours of a product: what it is made of, and its trim."""

    main: str
    trim: str

    @property
    def shade(self) -> str:
        return dark(self.main)

    @property
    def deep(self) -> str:
        return dark(self.main, 0.5)

    @property
    def pale(self) -> str:
        return light(self.main)


def n(value: float) -> str:
    """A number as SVG writes it: at most one decimal, no trailing zero."""
    return f"{value:.1f}".rstrip("0").rstrip(".") or "0"


def path(d: str, fill: str = "none", *, line: str = "", width: float = 0, more: str = "") -> str:
    """A path; ``line`` and ``width`` stroke it with round ends."""
    stroke = (
        f' stroke="{line}" stroke-width="{n(width)}" stroke-linecap="round" stroke-linejoin="round"' if line else ""
    )
    return f'<path d="{d}" fill="{fill}"{stroke}{" " + more if more else ""}/>'


def line(d: str, colour: str, width: float = 3, *, dash: str = "", more: str = "") -> str:
    """An open stroke; ``dash`` makes it a seam."""
    dashed = f'stroke-dasharray="{dash}"' if dash else ""
    return path(d, line=colour, width=width, more=" ".join(filter(None, (dashed, more))))


def rect(x: float, y: float, w: float, h: float, fill: str, r: float = 0, *, more: str = "") -> str:
    corner = f' rx="{n(r)}"' if r else ""
    end = f" {more}" if more else ""
    return f'<rect x="{n(x)}" y="{n(y)}" width="{n(w)}" height="{n(h)}"{corner} fill="{fill}"{end}/>'


def oval(x: float, y: float, rx: float, ry: float, fill: str, *, more: str = "") -> str:
    return f'<ellipse cx="{n(x)}" cy="{n(y)}" rx="{n(rx)}" ry="{n(ry)}" fill="{fill}"{" " + more if more else ""}/>'


def group(*shapes: str, move: tuple[float, float] = (0, 0), scale: float = 1, turn: float = 0, more: str = "") -> str:
    """Shapes together: scaled, then turned (degrees), then moved."""
    steps = []
    if move != (0, 0):
        steps.append(f"translate({n(move[0])} {n(move[1])})")
    if turn:
        steps.append(f"rotate({n(turn)})")
    if scale != 1:
        steps.append(f"scale({scale:.3g})")
    transform = f' transform="{" ".join(steps)}"' if steps else ""
    return f"<g{transform}{' ' + more if more else ''}>{''.join(shapes)}</g>"


def mirror(*shapes: str) -> str:
    """Shapes reflected at the middle of the square (x = 200)."""
    return f'<g transform="translate(400 0) scale(-1 1)">{"".join(shapes)}</g>'


def both(*shapes: str) -> str:
    """Shapes, and their reflection."""
    return "".join(shapes) + mirror(*shapes)


def ground(x: float = 200, y: float = 346, rx: float = 110, ry: float = 12) -> str:
    """The soft shadow that a thing stands on."""
    return oval(x, y, rx, ry, INK, more='opacity=".13"')


def drawing(title: str, width: int, height: int, *shapes: str, defs: str = "") -> str:
    """A whole SVG document; ``title`` is plain text, escaped here."""
    name = title.replace("&", "&amp;").replace("<", "&lt;")
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
        f"<title>{name}</title>{f'<defs>{defs}</defs>' if defs else ''}{''.join(shapes)}</svg>"
    )
