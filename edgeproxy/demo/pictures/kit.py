"""Pictures of packs, tools and what shows the way."""

# ruff: noqa: E501 - path data reads worse when it is cut

from __future__ import annotations

from .pen import INK, PAPER, STEEL, WOOD, Tint, both, dark, ground, group, light, line, oval, path, rect


def daypack(t: Tint) -> str:
    """A rounded day pack with a leather patch."""
    return (
        ground(y=344, rx=100)
        + line("M172 92C172 54 228 54 228 92", t.deep, 11)
        + both(path("M126 150C96 170 90 270 104 318C108 328 122 330 128 322Z", t.deep))
        + path(
            "M112 150C112 96 150 78 200 78C250 78 288 96 288 150V304C288 328 274 340 250 340H150C126 340 112 328 112 304Z",
            t.main,
        )
        + path("M200 78C250 78 288 96 288 150V304C288 328 274 340 250 340H200Z", t.shade, more='opacity=".4"')
        + path("M112 170C112 100 150 84 200 84C250 84 288 100 288 170C262 192 138 192 112 170Z", t.shade)
        + line("M118 174C146 192 254 192 282 174", t.deep, 4)
        + rect(134, 216, 132, 102, t.main, 20, more=f'stroke="{t.deep}" stroke-width="3.5"')
        + line("M138 244C170 250 230 250 262 244", t.deep, 4)
        + rect(252, 240, 16, 8, t.trim, 3)
        + both(rect(150, 150, 14, 92, t.trim, 3), rect(146, 196, 22, 16, dark(t.trim, 0.4), 4))
        + rect(176, 110, 48, 34, t.trim, 5)
        + path("M184 138L196 119L203 129L208 123L217 138Z", light(t.trim, 0.75))
    )


def trek_pack(t: Tint) -> str:
    """A tall pack with a lid, a rolled mat and a hip belt."""
    return (
        ground(y=362, rx=104)
        + both(
            path("M128 268C92 272 80 300 88 326L132 318Z", t.deep),
            path("M120 150C104 170 100 240 108 292L132 300Z", t.shade),
        )
        + path("M122 128H278L288 320C288 342 272 356 250 356H150C128 356 112 342 112 320Z", t.main)
        + path("M200 128H278L288 320C288 342 272 356 250 356H200Z", t.shade, more='opacity=".4"')
        + path("M114 126C112 74 150 58 200 58C250 58 288 74 286 126C262 146 138 146 114 126Z", t.shade)
        + path("M132 104C160 92 240 92 268 104", line=t.trim, width=6)
        + line("M182 60C184 42 216 42 218 60", t.deep, 9)
        + rect(140, 180, 120, 96, t.main, 14, more=f'stroke="{t.deep}" stroke-width="3.5"')
        + line("M144 204H256", t.deep, 4)
        + both(rect(146, 120, 12, 72, t.trim, 3), rect(142, 152, 20, 15, t.deep, 4))
        + rect(92, 292, 216, 48, light(t.trim, 0.15), 24)
        + oval(98, 316, 18, 24, dark(t.trim, 0.25))
        + line("M98 316m-8 0a8 11 0 1 0 16 0a8 11 0 1 0 -16 0", light(t.trim, 0.4), 3)
        + both(rect(138, 288, 12, 56, t.deep, 3))
        + rect(184, 224, 32, 22, light(t.trim, 0.5), 4)
    )


def roll_top(t: Tint) -> str:
    """A roll-top bag for town."""
    return (
        ground(y=344, rx=94)
        + both(line("M138 120C100 170 104 270 126 320", t.deep, 10))
        + path("M128 106H272L286 320C286 334 276 342 262 342H138C124 342 114 334 114 320Z", t.main)
        + path("M200 106H272L286 320C286 334 276 342 262 342H200Z", t.shade, more='opacity=".45"')
        + rect(118, 72, 164, 42, t.shade, 18)
        + line("M128 92H272", t.deep, 3)
        + both(rect(112, 84, 22, 16, t.trim, 5))
        + rect(191, 104, 18, 120, t.trim, 3)
        + rect(184, 204, 32, 24, STEEL, 5)
        + rect(191, 211, 18, 10, dark(STEEL, 0.45), 2)
        + path(
            "M120 268H280L286 320C286 334 276 342 262 342H138C124 342 114 334 114 320Z", t.trim, more='opacity=".85"'
        )
        + line("M122 278H279", light(t.trim, 0.4), 2, dash="6 5")
    )


def headlamp(t: Tint) -> str:
    """A head lamp on its band."""
    return (
        ground(y=320, rx=120)
        + path(
            "M200 116C290 116 336 160 336 206C336 262 276 300 200 300C124 300 64 262 64 206C64 160 110 116 200 116ZM200 146C138 146 98 176 98 206C98 242 142 266 200 266C258 266 302 242 302 206C302 176 262 146 200 146Z",
            t.main,
            more='fill-rule="evenodd"',
        )
        + path(
            "M98 206C98 176 138 146 200 146C262 146 302 176 302 206C306 170 262 132 200 132C138 132 94 170 98 206Z",
            t.deep,
        )
        + line("M76 228C92 262 140 286 200 288C260 286 308 262 324 228", t.trim, 5, dash="12 9")
        + rect(142, 226, 116, 88, dark(t.main, 0.55), 24)
        + oval(200, 268, 34, 34, STEEL)
        + oval(200, 268, 25, 25, "#fbe9ae")
        + oval(192, 260, 9, 8, PAPER)
        + rect(174, 218, 52, 12, t.trim, 5)
    )


def axe(t: Tint) -> str:
    """A small forest axe."""
    return ground(y=350, rx=110) + group(
        path(
            "M-12 -136H12C14 -60 12 40 20 120C22 138 18 160 4 166C-10 168 -18 156 -16 140C-10 60 -14 -40 -12 -136Z",
            WOOD,
        ),
        path("M2 -136H12C14 -60 12 40 20 120C22 138 18 160 4 166C4 90 6 -40 2 -136Z", dark(WOOD, 0.22)),
        path(
            "M-24 -150H26C30 -130 30 -112 26 -92H-24C-50 -86 -82 -66 -98 -48C-112 -90 -112 -134 -96 -176C-80 -164 -50 -152 -24 -150Z",
            STEEL,
        ),
        path("M-96 -176C-112 -134 -112 -90 -98 -48L-82 -60C-94 -96 -94 -132 -82 -167Z", PAPER),
        path("M-24 -150H26C30 -130 30 -112 26 -92H4V-150Z", dark(STEEL, 0.3)),
        rect(-17, 96, 34, 12, t.trim, 3),
        rect(-17, 114, 35, 7, t.main, 3),
        line("M-4 150C-20 176 -40 172 -36 156", t.main, 5),
        move=(204, 212),
        scale=0.92,
        turn=28,
    )


def knife(t: Tint) -> str:
    """A belt knife and its sheath."""
    return (
        ground(y=346, rx=116)
        + group(
            path("M-20 -60H20L14 92C12 110 6 122 0 130C-6 122 -12 110 -14 92Z", t.main),
            path("M0 -60H20L14 92C12 110 6 122 0 130Z", t.shade),
            rect(-22, -84, 44, 34, t.trim, 8),
            line("M-9 -40V84", light(t.main, 0.4), 2.5, dash="6 6"),
            path("M-8 -84C-8 -120 8 -120 8 -84", line=t.trim, width=8),
            move=(136, 206),
            turn=14,
        )
        + group(
            path("M-15 -16H15V92C15 112 6 128 -4 138C-12 120 -15 100 -15 80Z", light(STEEL, 0.3)),
            path("M3 -16H15V92C15 112 6 128 -4 138C2 100 3 60 3 -16Z", STEEL),
            rect(-20, -30, 40, 16, "#c9a25a", 4),
            path("M-17 -150C-17 -162 17 -162 17 -150L19 -30H-19Z", WOOD),
            path("M2 -159C12 -159 17 -156 17 -150L19 -30H2Z", dark(WOOD, 0.22)),
            line("M-10 -130C-6 -110 -8 -80 -8 -50", light(WOOD, 0.35), 3),
            move=(252, 214),
            turn=-20,
        )
    )


def compass(t: Tint) -> str:
    """A compass on its cord."""
    ticks = "".join(
        line("M0 -76V-64", INK, 4 if a % 90 == 0 else 2.5, more=f'transform="rotate({a})"') for a in range(0, 360, 30)
    )
    return (
        ground(y=340, rx=100)
        + line("M200 120C150 60 120 40 84 52C50 64 70 104 110 96", t.trim, 7)
        + oval(200, 222, 118, 118, t.shade)
        + oval(200, 218, 116, 114, t.main)
        + oval(200, 218, 92, 90, PAPER)
        + group(ticks, move=(200, 218))
        + group(
            path("M0 -62L15 0H-15Z", "#c4472f"),
            path("M0 62L15 0H-15Z", STEEL),
            oval(0, 0, 8, 8, INK),
            move=(200, 218),
            turn=24,
        )
        + path("M136 172C150 146 176 134 200 134", line=PAPER, width=7, more='opacity=".7"')
        + rect(186, 92, 28, 24, t.trim, 6)
    )


def snowshoe(t: Tint) -> str:
    """A pair of snowshoes."""
    lattice = "".join(line(f"M-38 {y}L38 {y + 34}M38 {y}L-38 {y + 34}", t.trim, 3.5) for y in range(-120, 110, 38))
    one = (
        path(
            "M0 -156C46 -156 54 -90 50 -20C48 40 36 110 8 164C4 172 -4 172 -8 164C-36 110 -48 40 -50 -20C-54 -90 -46 -156 0 -156Z",
            light(t.trim, 0.75),
            more='opacity=".55"',
        )
        + f'<g clip-path="url(#shoe)">{lattice}</g>'
        + path(
            "M0 -156C46 -156 54 -90 50 -20C48 40 36 110 8 164C4 172 -4 172 -8 164C-36 110 -48 40 -50 -20C-54 -90 -46 -156 0 -156Z",
            line=WOOD,
            width=12,
        )
        + rect(-46, -58, 92, 14, t.deep, 5)
        + rect(-46, 26, 92, 14, t.deep, 5)
        + path("M-30 -60H30L26 40H-26Z", t.main)
        + rect(-32, -26, 64, 12, t.shade, 4)
        + rect(10, -29, 14, 18, STEEL, 3)
    )
    clip = '<clipPath id="shoe"><path d="M0 -156C46 -156 54 -90 50 -20C48 40 36 110 8 164C4 172 -4 172 -8 164C-36 110 -48 40 -50 -20C-54 -90 -46 -156 0 -156Z"/></clipPath>'
    return (
        f"<defs>{clip}</defs>"
        + ground(y=362, rx=110)
        + group(one, move=(138, 190), turn=-7)
        + group(one, move=(264, 196), turn=7)
    )


def guide_book(t: Tint) -> str:
    """A guide book with a folded map."""
    return (
        ground(y=344, rx=120)
        + group(
            path("M-70 -80L-24 -94L24 -80L70 -94V78L24 92L-24 78L-70 92Z", PAPER),
            path("M-24 -94L24 -80V92L-24 78Z", dark(PAPER, 0.08)),
            line("M-58 40C-30 0 -10 30 10 -10C24 -38 44 -30 60 -62", "#c4472f", 4, dash="8 6"),
            line("M-60 -20C-30 -44 0 -20 60 10M-60 66C-20 50 20 70 60 44", "#7fa3ab", 4),
            move=(268, 238),
            turn=10,
        )
        + group(
            rect(-82, -118, 164, 228, t.shade, 8),
            rect(-76, -112, 156, 218, PAPER, 4),
            rect(-88, -124, 164, 228, t.main, 8),
            rect(-88, -124, 22, 228, t.shade, 8),
            path("M-52 56L-14 -10L8 22L26 0L62 56Z", t.trim),
            path("M-14 -10L-28 14L-16 10L-6 18L2 12Z", PAPER),
            oval(40, -36, 16, 16, light(t.trim, 0.4)),
            rect(-48, -96, 106, 12, PAPER, 3),
            rect(-48, -76, 66, 8, light(t.main, 0.5), 3),
            move=(164, 216),
            turn=-6,
        )
    )
