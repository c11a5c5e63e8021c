"""Pictures of what a home is made of."""

# ruff: noqa: E501 - path data reads worse when it is cut

from __future__ import annotations

from .pen import INK, PAPER, STEEL, WOOD, Tint, both, dark, ground, group, light, line, oval, path, rect


def blanket(t: Tint) -> str:
    """A folded wool blanket, fringe to the front."""
    fringe = "".join(
        line(f"M{x} 316V338", t.trim if i % 2 else light(t.trim, 0.4), 4) for i, x in enumerate(range(84, 320, 9))
    )
    fold = "M76 {y}H306C332 {y} 332 {z} 306 {z}H76C64 {z} 64 {y} 76 {y}Z"
    layers = "".join(
        path(fold.format(y=y, z=y + 46), c) + line(f"M84 {y + 34}H310", dark(c, 0.18), 3)
        for y, c in ((270, t.shade), (224, t.main), (178, light(t.main, 0.12)))
    )
    return (
        ground(y=342, rx=142)
        + fringe
        + layers
        + "".join(rect(x, 178, 12, 138, t.trim, more='opacity=".9"') for x in (112, 138))
        + rect(128, 178, 6, 138, light(t.trim, 0.55))
        + "".join(rect(70, y, 250, 5, t.trim, more='opacity=".55"') for y in (196, 242, 288))
        + path("M76 178C64 178 64 150 80 150H300C330 150 332 178 306 178Z", light(t.main, 0.28))
        + rect(240, 232, 44, 30, PAPER, 3)
        + path("M250 255L262 240L274 255Z", INK)
    )


def cushion(t: Tint) -> str:
    """A square cushion with a woven pattern."""
    rows = "".join(
        path(f"M{x} {y}l14 -14 14 14 -14 14Z", t.trim if (i + j) % 2 else light(t.trim, 0.45))
        for j, y in enumerate(range(150, 300, 42))
        for i, x in enumerate(range(112, 270, 42))
    )
    return (
        ground(y=338, rx=132)
        + path(
            "M84 92C120 104 280 104 316 92C330 86 338 96 332 110C318 160 318 270 332 312C338 328 328 338 314 332C280 320 120 320 86 332C72 338 62 328 68 312C82 270 82 160 68 110C62 96 70 86 84 92Z",
            t.main,
        )
        + path(
            "M200 101C240 101 280 104 316 92C330 86 338 96 332 110C318 160 318 270 332 312C338 328 328 338 314 332C280 320 240 321 200 321Z",
            t.shade,
            more='opacity=".28"',
        )
        + rows
        + line("M90 108C84 180 84 250 92 312", light(t.main, 0.4), 3, dash="6 7")
    )


def rug(t: Tint) -> str:
    """A woven rug hung over a pole."""
    bands = "".join(
        rect(96, y, 208, h, c)
        for y, h, c in (
            (106, 16, t.trim),
            (132, 6, light(t.trim, 0.5)),
            (212, 34, t.trim),
            (254, 8, light(t.trim, 0.5)),
            (288, 18, t.trim),
        )
    )
    teeth = "".join(
        path(f"M{x} 206l13 -22 13 22Z", light(t.trim, 0.5)) + path(f"M{x} 150l13 22 13 -22Z", t.trim)
        for x in range(96, 302, 26)
    )
    fringe = "".join(line(f"M{x} 326V346", light(t.main, 0.3), 4) for x in range(102, 302, 10))
    return (
        rect(60, 72, 280, 14, WOOD, 7)
        + oval(60, 79, 10, 10, dark(WOOD, 0.2))
        + oval(340, 79, 10, 10, dark(WOOD, 0.2))
        + fringe
        + rect(96, 76, 208, 252, t.main)
        + bands
        + teeth
        + path("M240 76H304V328H240Z", INK, more='opacity=".08"')
        + rect(96, 70, 208, 22, t.shade, 8)
    )


def towel(t: Tint) -> str:
    """Linen towels on a peg rail."""
    cloth = "M-44 0C-30 14 30 14 44 0L52 208C20 220 -20 220 -52 208Z"
    one = path(cloth, t.main) + path("M8 9C24 8 38 6 44 0L52 208C40 213 28 215 16 216Z", t.shade, more='opacity=".5"')
    two = path(cloth, t.trim) + path(
        "M8 9C24 8 38 6 44 0L52 208C40 213 28 215 16 216Z", dark(t.trim), more='opacity=".5"'
    )
    stripes = "".join(
        path(f"M-50 {y}C-20 {y + 9} 20 {y + 9} 51 {y}", line=c, width=w)
        for y, c, w in ((168, t.trim, 7), (184, t.trim, 3))
    )
    other = "".join(
        path(f"M-50 {y}C-20 {y + 9} 20 {y + 9} 51 {y}", line=light(t.main, 0.3), width=4) for y in (150, 164, 178)
    )
    return (
        rect(48, 84, 304, 26, WOOD, 6)
        + rect(48, 100, 304, 10, dark(WOOD, 0.18), 4)
        + group(one, stripes, move=(142, 116))
        + group(two, other, move=(262, 116))
        + "".join(oval(x, 104, 11, 11, light(WOOD, 0.3)) + oval(x, 104, 5, 5, dark(WOOD, 0.3)) for x in (142, 202, 262))
    )


def pendant(t: Tint) -> str:
    """A pendant lamp, lit."""
    return (
        path("M120 236L52 372H348L280 236Z", "#fbe7ab", more='opacity=".38"')
        + line("M200 0V112", INK, 4)
        + rect(186, 100, 28, 26, t.trim, 6)
        + path(
            "M186 122H214C262 134 306 176 314 232C314 240 308 242 300 242H100C92 242 86 240 86 232C94 176 138 134 186 122Z",
            t.main,
        )
        + path("M200 122H214C262 134 306 176 314 232C314 240 308 242 300 242H200Z", t.shade, more='opacity=".5"')
        + oval(200, 242, 112, 13, dark(t.main, 0.35))
        + oval(200, 243, 98, 10, "#fff3cd")
        + oval(200, 250, 26, 22, "#fff8e3")
        + path("M112 214C122 182 146 158 174 146", line=light(t.main, 0.7), width=7, more='opacity=".55"')
    )


def table_lamp(t: Tint) -> str:
    """A mushroom-shaped table lamp."""
    return (
        ground(y=350, rx=84)
        + oval(200, 190, 150, 120, "#fbe7ab", more='opacity=".28"')
        + path("M182 206H218L224 324H176Z", t.trim)
        + path("M204 206H218L224 324H204Z", dark(t.trim, 0.2))
        + path(
            "M132 336C132 322 160 316 200 316C240 316 268 322 268 336C268 346 262 350 252 350H148C138 350 132 346 132 336Z",
            dark(t.trim, 0.12),
        )
        + path(
            "M82 206C82 124 134 82 200 82C266 82 318 124 318 206C318 216 310 220 300 220H100C90 220 82 216 82 206Z",
            t.main,
        )
        + path("M200 82C266 82 318 124 318 206C318 216 310 220 300 220H200Z", t.shade, more='opacity=".4"')
        + oval(200, 220, 104, 9, "#fff3cd")
        + path("M108 190C112 146 140 114 176 106", line=PAPER, width=8, more='opacity=".6"')
        + line("M268 340C300 346 330 340 352 350", INK, 4)
    )


def candles(t: Tint) -> str:
    """Three candle holders of different height."""

    def one(x: float, top: float, c: str) -> str:
        return (
            oval(x, top - 96, 38, 44, "#fbe7ab", more='opacity=".4"')
            + path(
                f"M{x} {top - 128}C{x + 14} {top - 106} {x + 10} {top - 92} {x} {top - 92}C{x - 10} {top - 92} {x - 14} {top - 106} {x} {top - 128}Z",
                "#f0a04b",
            )
            + rect(x - 11, top - 84, 22, 90, PAPER, 4)
            + rect(x + 2, top - 84, 9, 90, dark(PAPER, 0.1), 3)
            + line(f"M{x} {top - 84}V{top - 94}", INK, 3)
            + rect(x - 17, top, 34, 16, c, 5)
            + rect(x - 6, top + 12, 12, 330 - top, c)
            + path(f"M{x - 40} 346C{x - 40} 332 {x + 40} 332 {x + 40} 346Z", c)
            + path(f"M{x} 335C{x + 26} 335 {x + 40} 338 {x + 40} 346H{x}Z", dark(c, 0.2))
        )

    return (
        ground(y=348, rx=146, ry=10) + one(112, 234, t.main) + one(288, 262, light(t.main, 0.2)) + one(200, 190, t.trim)
    )


def stool(t: Tint) -> str:
    """A three-legged stool."""
    return (
        ground(y=352, rx=110)
        + line("M200 196V336", dark(WOOD, 0.35), 15)
        + both(path("M132 186L150 190L116 350H96Z", WOOD))
        + line("M122 286H278", dark(WOOD, 0.2), 10)
        + path(
            "M84 160C84 140 140 130 200 130C260 130 316 140 316 160V182C316 200 260 208 200 208C140 208 84 200 84 182Z",
            dark(t.main, 0.25),
        )
        + oval(200, 160, 116, 30, t.main)
        + oval(200, 160, 88, 21, light(t.main, 0.14))
        + oval(200, 160, 56, 13, t.main)
        + line("M150 152C176 144 214 144 242 150", light(t.main, 0.5), 4)
    )


def armchair(t: Tint) -> str:
    """A lounge chair with a sheepskin."""
    curls = "".join(oval(x, y, 17, 14, c) for x, y, c in (
        (142, 116, PAPER), (166, 104, "#f4ecdc"), (192, 108, PAPER), (214, 118, "#f4ecdc"), (150, 142, "#f4ecdc"), (178, 134, PAPER),
        (206, 146, PAPER), (158, 170, PAPER), (188, 166, "#f4ecdc"), (214, 176, PAPER), (170, 196, "#f4ecdc"), (198, 202, PAPER), (222, 206, "#f4ecdc")))  # fmt: skip
    return (
        ground(y=352, rx=130)
        + line("M292 214L318 350M128 236L106 350", dark(WOOD, 0.3), 13)
        + path(
            "M106 96C104 78 122 70 140 72L230 88C250 92 258 104 260 122L276 240H150C136 240 128 232 126 220Z", t.main
        )
        + path(
            "M106 96L126 220C128 232 136 240 150 240L140 244C122 244 112 236 110 222L94 108C92 96 98 88 106 96Z",
            t.shade,
        )
        + curls
        + path("M126 224H300C318 224 326 234 326 248C326 264 318 272 302 272H146C132 272 124 264 124 250Z", t.shade)
        + path("M132 214H296C312 214 320 224 320 236C320 248 312 254 298 254H146C134 254 128 246 126 236Z", t.main)
        + line("M112 196H300C312 196 318 202 318 212", WOOD, 14)
        + line("M120 200L92 346M300 200L292 262L330 346", WOOD, 13)
        + line("M114 300H316", dark(WOOD, 0.2), 9)
    )


def log_basket(t: Tint) -> str:
    """A basket of birch logs."""
    logs = "".join(
        oval(x, y, 31, 28, "#8d6a49")
        + oval(x, y, 26, 23, "#e9d3ac")
        + oval(x, y, 15, 13, "#dcbf90")
        + oval(x, y, 6, 5, "#c19b66")
        for x, y in ((138, 148), (262, 150), (200, 140), (170, 186), (232, 186))
    )
    weave = "".join(line(f"M{88 + k} {226 + k * 2}H{312 - k}", t.shade, 6) for k in range(0, 56, 12))
    posts = "".join(
        line(f"M{x} 206L{200 + (x - 200) * 0.86:.0f} 340", light(t.main, 0.25), 5) for x in range(104, 304, 28)
    )
    return (
        ground(y=350, rx=116)
        + line("M96 210C84 40 316 40 304 210", t.shade, 13)
        + logs
        + path("M76 196H324L306 330C304 342 296 348 284 348H116C104 348 96 342 94 330Z", t.main)
        + posts
        + weave
        + path("M200 196H324L306 330C304 342 296 348 284 348H200Z", INK, more='opacity=".1"')
        + rect(70, 188, 260, 22, t.shade, 11)
        + line("M82 199H318", light(t.main, 0.3), 3, dash="10 8")
        + line("M150 72C180 60 220 60 250 72", t.trim, 17)
    )


def broom(t: Tint) -> str:
    """A dustpan brush and a hand broom on pegs."""
    bristles = "".join(
        line(f"M{x} 268L{200 + (x - 200) * 1.28:.0f} 336", light(t.trim, 0.15) if i % 2 else t.trim, 7)
        for i, x in enumerate(range(128, 278, 8))
    )
    return (
        ground(y=348, rx=112)
        + oval(200, 52, 9, 9, dark(STEEL, 0.3))
        + line("M200 56C190 66 190 80 200 84C210 80 210 66 200 56", t.main, 5)
        + path("M190 80H210L214 196H186Z", WOOD)
        + path("M202 80H210L214 196H202Z", dark(WOOD, 0.22))
        + bristles
        + path(
            "M180 190H220C262 204 284 236 288 270C288 278 282 280 276 280H124C118 280 112 278 112 270C116 236 138 204 180 190Z",
            t.main,
        )
        + path("M200 190H220C262 204 284 236 288 270C288 278 282 280 276 280H200Z", t.shade, more='opacity=".5"')
        + line("M124 262H276", light(t.main, 0.4), 2.5, dash="5 7")
    )
