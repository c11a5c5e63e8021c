"""Landscapes: the shop's large pictures of outdoors.

Hills are drawn by midpoint displacement from a seed of their own, so that a scene is the same every time.
"""

# ruff: noqa: E501 - path data reads worse when it is cut

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from random import Random

from . import camp, kit, wear
from .pen import INK, PAPER, Tint, dark, drawing, group, light, line, mix, n, oval, path, rect

WIDTH, HEIGHT = 1600, 900


@dataclass(frozen=True, slots=True)
class Light:
    """The colours of an hour: sky from top to horizon, sun, far and near land, water."""

    sky: tuple[str, str, str]
    sun: str
    far: str
    near: str
    water: str
    seed: int


DAWN = Light(("#8fb3bd", "#e8d3b4", "#f4c894"), "#fff1d2", "#a8b7b2", "#1f3a34", "#9dbabd", 7)
WINTER = Light(("#31506b", "#8fb0c4", "#e9dccf"), "#fff6e6", "#b9cad6", "#2b4657", "#a9c2d1", 19)
AUTUMN = Light(("#b9ced0", "#f0dcb8", "#f3bf85"), "#fff0cd", "#b6a98d", "#5b3a24", "#b8bfae", 31)
SUMMER = Light(("#7fb2c9", "#c7dfdf", "#eef0d8"), "#fffbe8", "#9db9a4", "#2c5140", "#8fbcc4", 43)
DUSK = Light(("#2c3a52", "#70688a", "#dc9a80"), "#ffdcb0", "#6d6a88", "#1b2636", "#7c7894", 58)


def ridge(
    dice: Random, level: float, height: float, *, rough: float = 0.55, points: int = 7
) -> list[tuple[float, float]]:
    """The line of a range of hills across the picture: ``2**points + 1`` places."""
    heights = [dice.uniform(-1, 1) * height, dice.uniform(-1, 1) * height]
    swing = height
    for _ in range(points):
        finer = [heights[0]]
        for one, two in pairwise(heights):
            finer += [(one + two) / 2 + dice.uniform(-1, 1) * swing, two]
        heights, swing = finer, swing * rough
    step = WIDTH / (len(heights) - 1)
    return [(i * step, level - h) for i, h in enumerate(heights)]


def hill(points: list[tuple[float, float]], fill: str, *, more: str = "") -> str:
    return path("M0 900" + "".join(f"L{n(x)} {n(y)}" for x, y in points) + f"L{WIDTH} 900Z", fill, more=more)


def pine(x: float, y: float, size: float, colour: str) -> str:
    """A spruce; ``size`` is its height."""
    w, h = size * 0.2, size
    tiers = "".join(
        f"L{n(x + w * k)} {n(y - h * a)}L{n(x + w * k * 0.5)} {n(y - h * a)}"
        for k, a in ((0.5, 0.66), (0.78, 0.4), (1, 0.1))
    )
    back = "".join(
        f"L{n(x - w * k * 0.5)} {n(y - h * a)}L{n(x - w * k)} {n(y - h * a)}"
        for k, a in ((1, 0.1), (0.78, 0.4), (0.5, 0.66))
    )
    return path(f"M{n(x)} {n(y - h)}{tiers}L{n(x + w * 0.1)} {n(y)}L{n(x - w * 0.1)} {n(y)}{back}Z", colour)


def birch(x: float, y: float, size: float, leaf: str) -> str:
    crown = "".join(
        oval(x + dx * size, y - dy * size, rx * size, ry * size, c)
        for dx, dy, rx, ry, c in (
            (-0.09, 0.72, 0.14, 0.2, dark(leaf, 0.12)),
            (0.1, 0.7, 0.14, 0.18, leaf),
            (0, 0.86, 0.13, 0.18, light(leaf, 0.18)),
        )
    )
    return rect(x - size * 0.02, y - size * 0.75, size * 0.04, size * 0.75, "#ece4d4") + crown


def wood(
    dice: Random,
    along: list[tuple[float, float]],
    colour: str,
    size: float,
    every: int,
    *,
    gap: tuple[float, float] = (-1, -1),
) -> str:
    """Spruces along a ridge, none inside the gap."""
    trees = []
    for x, y in along[::every]:
        if not gap[0] < x < gap[1]:
            trees.append(
                pine(
                    x + dice.uniform(-6, 6),
                    y + 12,
                    size * dice.uniform(0.6, 1.2),
                    mix(colour, INK, dice.uniform(0, 0.16)),
                )
            )
    return "".join(trees)


def sky(hour: Light, sun: tuple[float, float, float]) -> tuple[str, str]:
    """The definitions and the shapes of a sky with its sun."""
    stops = "".join(f'<stop offset="{at}" stop-color="{c}"/>' for at, c in zip((0, 0.55, 0.8), hour.sky, strict=True))
    defs = (
        f'<linearGradient id="sky" x2="0" y2="1">{stops}</linearGradient>'
        f'<radialGradient id="glow"><stop offset="0" stop-color="{hour.sun}" stop-opacity=".9"/>'
        f'<stop offset="1" stop-color="{hour.sun}" stop-opacity="0"/></radialGradient>'
        f'<linearGradient id="mist" x2="0" y2="1"><stop offset="0" stop-color="{hour.sky[2]}" stop-opacity="0"/>'
        f'<stop offset="1" stop-color="{hour.sky[2]}" stop-opacity=".7"/></linearGradient>'
        f'<linearGradient id="lake" x2="0" y2="1"><stop offset="0" stop-color="{mix(hour.water, hour.sky[2], 0.5)}"/>'
        f'<stop offset="1" stop-color="{dark(hour.water, 0.3)}"/></linearGradient>'
    )
    x, y, r = sun
    return defs, rect(0, 0, WIDTH, HEIGHT, "url(#sky)") + oval(x, y, r * 5, r * 5, "url(#glow)") + oval(
        x, y, r, r, hour.sun
    )


def birds(x: float, y: float, colour: str) -> str:
    return "".join(
        line(f"M{x + dx} {y + dy}q9 -10 16 0q8 -10 17 -1", colour, 3)
        for dx, dy in ((0, 0), (52, -26), (92, 4), (-46, 22))
    )


def ranges(hour: Light, dice: Random, levels: tuple[tuple[float, float], ...]) -> str:
    """Ranges of hills from far to near, mist between them."""
    out = []
    for i, (level, height) in enumerate(levels):
        shade = mix(hour.far, hour.near, (i / max(1, len(levels) - 1)) ** 1.2 * 0.72)
        out.append(hill(ridge(dice, level, height), shade))
        out.append(rect(0, level - 40, WIDTH, 190, "url(#mist)", more='opacity=".55"'))
    return "".join(out)


def ripples(dice: Random, top: float, bottom: float, colour: str, *, count: int = 34) -> str:
    out = []
    for _ in range(count):
        depth = dice.random()
        y = top + (bottom - top) * depth
        x = dice.uniform(-60, WIDTH - 60)
        out.append(rect(x, y, dice.uniform(60, 240) * (0.4 + depth), 2 + depth * 4, colour, 2, more='opacity=".35"'))
    return "".join(out)


def cabin(x: float, y: float, size: float, wall: str, roof: str) -> str:
    """A red cabin with a lit window."""
    return group(
        path("M-100 0V-86H100V0Z", wall),
        path("M20 -86H100V0H20Z", dark(wall, 0.2)),
        "".join(line(f"M{k} -84V-2", dark(wall, 0.18), 2.5) for k in range(-88, 100, 17)),
        path("M-124 -80L-60 -158H72L124 -80Z", roof),
        path("M-124 -80L-118 -88H118L124 -80L112 -72H-112Z", light(roof, 0.18)),
        rect(34, -190, 24, 60, dark(roof, 0.1)),
        rect(-76, -68, 48, 40, PAPER),
        rect(-71, -63, 17, 30, "#f9d98a"),
        rect(-50, -63, 17, 30, "#f9d98a"),
        rect(-2, -66, 34, 66, PAPER),
        rect(3, -61, 24, 61, "#2f4d46"),
        rect(54, -66, 34, 34, PAPER),
        rect(58, -62, 26, 26, "#f9d98a"),
        path("M46 -196C30 -226 66 -240 44 -272C30 -292 60 -304 50 -330", line=PAPER, width=9, more='opacity=".45"'),
        move=(x, y),
        scale=size,
    )


def lake_at_dawn() -> str:
    """A lake with a cabin on its far shore and a tent on the near one."""
    dice, hour = Random(DAWN.seed), DAWN
    defs, heaven = sky(hour, (1120, 372, 64))
    far = ridge(dice, 548, 26)
    shore = ridge(dice, 786, 20, rough=0.42)
    return drawing(
        "A lake at dawn, a cabin on the far shore and a tent on the near one",
        WIDTH, HEIGHT, heaven,
        birds(700, 250, dark(hour.sky[0], 0.35)),
        ranges(hour, dice, ((430, 120), (490, 90), (535, 60))),
        hill(far, mix(hour.far, hour.near, 0.66)),
        wood(dice, far, mix(hour.far, hour.near, 0.8), 74, 2, gap=(1215, 1440)),
        rect(0, 586, WIDTH, 314, "url(#lake)"),
        path("M1060 588L1010 900H1230L1180 588Z", hour.sun, more='opacity=".28"'),
        ripples(dice, 600, 860, light(hour.water, 0.6)),
        path("M1130 590C1220 566 1460 566 1560 590Z", mix(hour.far, hour.near, 0.85)),
        cabin(1330, 584, 0.62, "#a3402f", "#37423f"),
        rect(1266, 588, 128, 40, "#a3402f", more='opacity=".22"'),
        wood(dice, shore[117:], dark(hour.near, 0.2), 330, 5),
        wood(dice, shore[:14], dark(hour.near, 0.2), 360, 4),
        hill(shore, mix(hour.near, "#7d8f5c", 0.3)),
        hill([(x, y + 44) for x, y in shore], mix(hour.near, "#7d8f5c", 0.12)),
        group(camp.tent(Tint("#d98a3a", "#f1e2c4")), move=(1010, 578), scale=0.72),
        group(camp.lantern(Tint("#a3402f", "#e8c16a")), move=(1262, 722), scale=0.28),
        group(kit.trek_pack(Tint("#8c3b3b", "#e8c16a")), move=(936, 690), scale=0.36),
        defs=defs,
    )  # fmt: skip


def winter_fell() -> str:
    """Snow, spruces and a cabin with light in its windows."""
    dice, hour = Random(WINTER.seed), WINTER
    defs, heaven = sky(hour, (430, 420, 50))
    stars = "".join(
        oval(dice.uniform(0, WIDTH), dice.uniform(0, 300), r, r, PAPER, more='opacity=".7"') for r in [1.6, 2.2] * 28
    )
    north = "".join(
        path(
            f"M-40 {y}C300 {y - 130} 620 {y + 110} 980 {y - 60}S1500 {y - 120} 1660 {y - 20}L1660 {y - 120}C1400 {y - 240} 1180 {y - 90} 900 {y - 190}S240 {y - 190} -40 {y - 110}Z",
            c,
            more=f'opacity="{o}"',
        )
        for y, c, o in ((250, "#7fd1b0", 0.24), (310, "#9be0c0", 0.16))
    )
    near = ridge(dice, 700, 40, rough=0.4)
    flakes = "".join(
        oval(
            dice.uniform(0, WIDTH),
            dice.uniform(0, 860),
            dice.uniform(2, 5),
            dice.uniform(2, 5),
            PAPER,
            more='opacity=".8"',
        )
        for _ in range(90)
    )
    return drawing(
        "A snowy fell at dusk with northern lights and a cabin",
        WIDTH, HEIGHT, heaven, stars, north,
        ranges(hour, dice, ((470, 130), (540, 80), (600, 50))),
        hill(near, "#dfe8ec"),
        wood(dice, near, "#3d5a66", 150, 4, gap=(880, 1330)),
        cabin(1110, 712, 0.95, "#8c3b3b", "#f2f5f4"),
        hill(ridge(dice, 800, 30, rough=0.35), "#eff4f4"),
        group(wear.boot(Tint("#8a5a38", "#e8c16a")), move=(860, 720), scale=0.22),
        group(camp.lantern(Tint("#b5532f", "#e8c16a")), move=(940, 694), scale=0.3),
        flakes,
        defs=defs,
    )  # fmt: skip


def birch_trail() -> str:
    """A path through yellow birches."""
    dice, hour = Random(AUTUMN.seed), AUTUMN
    defs, heaven = sky(hour, (560, 360, 58))
    near = ridge(dice, 660, 46, rough=0.42)
    leaves = ("#d99a33", "#c9742c", "#e3b64e", "#b85a2a")
    stand = "".join(
        birch(x, 680 + abs(x - 780) * 0.16 + dice.uniform(-10, 20), 250 + abs(x - 780) * 0.32, leaves[i % 4])
        for i, x in enumerate((150, 330, 500, 1030, 1180, 1350, 1500, 40))
    )
    return drawing(
        "A path through birches in autumn",
        WIDTH, HEIGHT, heaven,
        ranges(hour, dice, ((450, 120), (530, 70), (590, 50))),
        hill(near, "#8d7a44"),
        path("M700 640C760 690 620 740 640 800C650 840 560 870 520 900H1040C980 860 900 830 880 790C850 740 800 690 740 640Z", "#dcc39a"),
        stand,
        group(kit.trek_pack(Tint("#33566e", "#d9a441")), move=(980, 616), scale=0.55),
        group(camp.flask(Tint("#8c3b3b", "#e9dcc3")), move=(1150, 704), scale=0.36),
        defs=defs,
    )  # fmt: skip


def coast() -> str:
    """Skerries in summer."""
    dice, hour = Random(SUMMER.seed), SUMMER
    defs, heaven = sky(hour, (1180, 240, 54))
    rocks = "".join(path(f"M{x} {y}C{x + w * 0.1} {y - h} {x + w * 0.4} {y - h * 1.2} {x + w * 0.55} {y - h * 0.8}C{x + w * 0.8} {y - h} {x + w} {y - h * 0.3} {x + w} {y}Z", c)
                    for x, y, w, h, c in ((120, 520, 420, 60, "#8fa6a0"), (760, 540, 520, 70, "#7d948d"), (1240, 590, 420, 70, "#6d827a"), (-80, 700, 620, 120, "#8a8174"), (980, 860, 760, 170, "#7a7164")))  # fmt: skip
    sail = (
        path("M0 -150C40 -110 56 -60 60 -16H0Z", PAPER)
        + path("M-8 -130C-30 -90 -44 -50 -46 -16H-8Z", "#e9dcc3")
        + path("M-60 -8H70C60 14 40 22 10 22H-20C-40 22 -54 10 -60 -8Z", "#a3402f")
    )
    return drawing(
        "Skerries and a sailing boat in summer",
        WIDTH, HEIGHT, heaven, birds(380, 190, "#5f7f88"),
        rect(0, 500, WIDTH, 400, "url(#lake)"),
        rocks,
        group(sail, move=(660, 590), scale=0.9),
        ripples(dice, 560, 880, PAPER, count=40),
        wood(dice, [(x, 470) for x in range(860, 1200, 26)], "#3d6450", 90, 1),
        group(camp.camp_chair(Tint("#d8a637", "#33566e")), move=(1150, 470), scale=0.72),
        group(camp.mug(Tint("#f0e6d2", "#33566e")), move=(1440, 660), scale=0.26),
        defs=defs,
    )  # fmt: skip
