"""Rooms, furnished with the shop's own products."""

# ruff: noqa: E501 - path data reads worse when it is cut

from __future__ import annotations

from random import Random

from . import camp, house, kit, table, wear
from .land import DUSK, HEIGHT, SUMMER, WIDTH, Light, pine
from .pen import INK, PAPER, WOOD, Tint, dark, drawing, group, light, line, mix, n, oval, path, rect


def _room(title: str, wall: str, floor: str, *shapes: str) -> str:
    boards = "".join(
        line(f"M{x} 720L{800 + (x - 800) * 1.5:.0f} 900", dark(floor, 0.16), 3) for x in range(-400, 2100, 140)
    )
    return drawing(title, WIDTH, HEIGHT, rect(0, 0, WIDTH, 724, wall), rect(0, 720, WIDTH, 180, floor), boards, rect(0, 706, WIDTH, 16, light(wall, 0.4)), *shapes)  # fmt: skip


def window(x: float, y: float, hour: Light) -> str:
    """A window of 360 by 380 with fells outside."""
    dice = Random(hour.seed)
    hills = "".join(
        path(
            "M0 380" + "".join(f"L{i * 30} {n(level - dice.uniform(0, 50))}" for i in range(13)) + "L360 380Z",
            mix(hour.far, hour.near, t),
        )
        for level, t in ((240, 0.1), (290, 0.4), (340, 0.8))
    )
    trees = "".join(pine(k, 372, dice.uniform(60, 130), mix(hour.near, INK, 0.2)) for k in (40, 84, 120, 262, 306, 336))
    return group(
        rect(-16, -16, 392, 412, PAPER, 4),
        rect(0, 0, 360, 380, hour.sky[1]),
        rect(0, 0, 360, 120, hour.sky[0], more='opacity=".6"'),
        oval(250, 120, 30, 30, hour.sun),
        hills, trees,
        rect(174, 0, 12, 380, PAPER),
        rect(0, 150, 360, 10, PAPER),
        rect(-30, 388, 420, 20, light(WOOD, 0.3), 4),
        move=(x, y),
    )  # fmt: skip


def living_room() -> str:
    """A room with a chair, a lamp and logs."""
    return _room(
        "A reading chair by the window, with a lamp and a basket of logs",
        "#d9dccb", "#c9a47a",
        window(300, 150, DUSK),
        rect(420, 770, 900, 90, "#b5532f", 40),
        rect(450, 786, 840, 58, "#e3c9a0", 28),
        line("M500 815H1240", "#b5532f", 8, dash="26 22"),
        group(house.pendant(Tint("#2f5d54", "#c9a25a")), move=(850, -12), scale=1.05),
        group(house.armchair(Tint("#b5653a", "#e9dcc3")), move=(680, 330), scale=1.35),
        group(house.log_basket(Tint("#a9804f", "#4a4f57")), move=(1210, 520), scale=0.85),
        group(house.stool(Tint("#33566e", "#e9dcc3")), move=(430, 560), scale=0.7),
        group(table.teapot(Tint("#7a8450", "#e9dcc3")), move=(490, 516), scale=0.42),
        group(table.vase(Tint("#e7ddc8", "#8c3b3b")), move=(330, 338), scale=0.52),
    )  # fmt: skip


def workshop() -> str:
    """A bench where boots and jackets are mended."""
    pegs = "".join(oval(x, 150, 12, 12, dark(WOOD, 0.2)) for x in (240, 480, 1140, 1380))
    spools = "".join(
        rect(x, 596, 40, 50, c, 5) + rect(x - 6, 588, 52, 10, WOOD, 3) + rect(x - 6, 642, 52, 10, WOOD, 3)
        for x, c in ((1010, "#b5532f"), (1080, "#33566e"), (1150, "#d8a637"))
    )
    return _room(
        "The mending bench: boots, a jacket, thread and wax",
        "#e6dcc8", "#a98a66",
        rect(120, 138, 1360, 24, WOOD, 6), pegs,
        group(wear.jacket(Tint("#2f5d54", "#d9a441")), move=(50, 110), scale=0.98),
        group(wear.sweater(Tint("#33566e", "#e9dcc3")), move=(312, 118), scale=0.9),
        group(kit.daypack(Tint("#8c3b3b", "#d9a441")), move=(960, 120), scale=0.86),
        group(house.towel(Tint("#e9dcc3", "#b5532f")), move=(1230, 90), scale=0.72),
        window(640, 176, SUMMER),
        rect(90, 650, 1420, 36, light(WOOD, 0.15), 6),
        rect(90, 676, 1420, 16, dark(WOOD, 0.2), 4),
        rect(150, 690, 50, 210, WOOD), rect(1400, 690, 50, 210, WOOD),
        group(wear.boot(Tint("#8a5a38", "#e8c16a")), move=(470, 392), scale=0.84),
        group(wear.boot(Tint("#a9683a", "#e8c16a")), move=(700, 420), scale=0.76),
        spools,
        group(table.soap(Tint("#e9dcc3", "#2f5d54")), move=(1190, 470), scale=0.58),
        group(camp.mug(Tint("#33566e", "#f0e6d2")), move=(280, 500), scale=0.46),
    )  # fmt: skip


def kitchen() -> str:
    """A shelf and a table laid for breakfast."""
    shelf = rect(180, 300, 1240, 22, WOOD, 5) + rect(180, 318, 1240, 10, dark(WOOD, 0.25), 3)
    return _room(
        "A kitchen table laid for a slow breakfast",
        "#cfd9d6", "#b9895c",
        shelf,
        group(table.bowls(Tint("#e7ddc8", "#2f5d54")), move=(210, 92), scale=0.62),
        group(camp.mug(Tint("#b5532f", "#f0e6d2")), move=(470, 140), scale=0.48),
        group(camp.mug(Tint("#f0e6d2", "#33566e")), move=(640, 140), scale=0.48),
        group(table.vase(Tint("#d8a637", "#33566e")), move=(820, 76), scale=0.66),
        group(table.kettle(Tint("#2f5d54", "#c98b4a")), move=(1110, 88), scale=0.64),
        rect(120, 648, 1360, 34, light(WOOD, 0.3), 8),
        rect(120, 674, 1360, 16, dark(WOOD, 0.15), 4),
        rect(200, 688, 54, 212, light(WOOD, 0.1)), rect(1346, 688, 54, 212, light(WOOD, 0.1)),
        group(table.board(Tint("#b98552", "#33566e")), move=(250, 366), scale=0.86),
        group(table.teapot(Tint("#8c3b3b", "#e9dcc3")), move=(640, 390), scale=0.78),
        group(table.bowls(Tint("#b9c7bd", "#d9a441")), move=(930, 410), scale=0.7),
        group(house.candles(Tint("#c9a25a", "#4a4f57")), move=(1160, 380), scale=0.78),
    )  # fmt: skip
