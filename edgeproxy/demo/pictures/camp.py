"""Pictures of what one carries and camps with."""

# ruff: noqa: E501 - path data reads worse when it is cut

from __future__ import annotations

from .pen import INK, PAPER, STEEL, WOOD, Tint, both, dark, ground, group, light, line, mirror, oval, path, rect


def tent(t: Tint) -> str:
    """A two-person tent, pitched on grass."""
    grass = "".join(path(f"M{x} 322l5 -13 5 13Z", "#7d8f5c") for x in (34, 66, 104, 286, 318, 352))
    return (
        oval(200, 322, 186, 22, "#a9b583")
        + line("M58 214L24 318M342 214L376 318", dark(STEEL, 0.2), 2.5)
        + path("M44 318C70 196 140 106 200 92C260 106 330 196 356 318Z", t.main)
        + path("M200 92C260 106 330 196 356 318H276C270 230 244 138 200 92Z", t.shade)
        + path("M200 92C156 138 130 230 124 318H276C270 230 244 138 200 92Z", t.pale)
        + path("M200 140C176 190 164 254 162 318H238C236 254 224 190 200 140Z", dark(t.main, 0.62))
        + path("M200 140C224 190 236 254 238 318C254 302 262 270 246 232C234 200 216 170 200 140Z", t.trim)
        + line("M44 318C70 196 140 106 200 92C260 106 330 196 356 318", t.deep, 5)
        + line("M200 92C156 138 130 230 124 318M200 92C244 138 270 230 276 318", t.trim, 4)
        + line("M176 318C178 292 196 282 214 296C224 304 228 312 230 318", light(t.trim, 0.55), 9)
        + path("M200 92V66L222 74L200 82", t.trim, line=t.deep, width=3)
        + grass
    )


def tarp(t: Tint) -> str:
    """A tarp between two pines."""
    tree = path("M-11 0L-7 -190H7L11 0Z", dark(WOOD, 0.35)) + path(
        "M0 -250L-52 -150H-22L-64 -84H64L22 -150H52Z", "#4d6a54"
    )
    return (
        oval(200, 324, 180, 20, "#a9b583")
        + group(tree, move=(72, 322))
        + group(tree, move=(328, 322))
        + path("M76 174L324 174L360 286L40 286Z", t.main)
        + path("M200 174H324L360 286H200Z", t.shade, more='opacity=".5"')
        + line("M76 174H324", t.trim, 5)
        + line("M40 286L20 326M360 286L380 326M200 174V286", t.deep, 3)
        + path("M168 322C168 296 232 296 232 322Z", dark(WOOD, 0.3))
        + path("M200 268C222 292 214 312 200 312C186 312 178 292 200 268Z", "#e58a3c")
        + path("M200 286C210 298 208 310 200 310C192 310 190 298 200 286Z", "#f7d774")
    )


def sleeping_bag(t: Tint) -> str:
    """A mummy-shaped sleeping bag."""
    quilts = "".join(
        line(
            f"M{136 + k * 1.4:.0f} {176 + k * 28}C168 {192 + k * 28} 232 {192 + k * 28} {264 - k * 1.4:.0f} {176 + k * 28}",
            t.shade,
            4,
        )
        for k in range(6)
    )
    return (
        ground(y=362, rx=84)
        + path(
            "M200 44C256 44 276 92 276 136L262 300C258 338 234 358 200 358C166 358 142 338 138 300L124 136C124 92 144 44 200 44Z",
            t.main,
        )
        + path("M200 44C256 44 276 92 276 136L262 300C258 338 234 358 200 358Z", t.shade, more='opacity=".4"')
        + quilts
        + path(
            "M200 74C236 74 248 104 246 130C244 152 224 162 200 162C176 162 156 152 154 130C152 104 164 74 200 74Z",
            t.trim,
        )
        + path(
            "M200 88C226 88 234 110 232 130C230 146 218 152 200 152C182 152 170 146 168 130C166 110 174 88 200 88Z",
            dark(t.trim, 0.4),
        )
        + line("M222 160C236 210 238 270 230 326", t.trim, 5)
        + rect(224, 186, 10, 18, light(t.trim, 0.6), 3)
        + line("M200 162C196 176 190 184 186 196", t.deep, 3)
    )


def mat(t: Tint) -> str:
    """A rolled sleeping mat."""
    return (
        ground(y=300, rx=140)
        + rect(86, 148, 216, 144, t.main, 30)
        + rect(86, 232, 216, 60, t.shade, 30, more='opacity=".5"')
        + "".join(line(f"M{x} 152V288", t.shade, 3) for x in range(146, 290, 16))
        + oval(304, 220, 44, 72, t.trim)
        + line(
            "M304 220m-28 0a28 48 0 1 0 56 0a28 48 0 1 0 -56 0M304 220m-12 0a12 22 0 1 0 24 0a12 22 0 1 0 -24 0",
            dark(t.trim, 0.35),
            4,
        )
        + rect(122, 140, 18, 160, t.deep, 5)
        + rect(232, 140, 18, 160, t.deep, 5)
        + rect(116, 206, 30, 22, STEEL, 4)
        + line("M140 150C160 100 220 100 240 150", t.deep, 8)
    )


def stove(t: Tint) -> str:
    """A gas burner with a pot on it."""
    flame = path("M0 0C10 -14 8 -24 0 -34C-8 -24 -10 -14 0 0Z", "#4f8fb5")
    return (
        ground(y=346, rx=96)
        + path(
            "M148 290C148 272 166 264 200 264C234 264 252 272 252 290V332C252 342 244 346 234 346H166C156 346 148 342 148 332Z",
            t.main,
        )
        + path("M200 264C234 264 252 272 252 290V332C252 342 244 346 234 346H200Z", t.shade, more='opacity=".55"')
        + rect(148, 300, 104, 20, t.trim)
        + rect(184, 236, 32, 34, STEEL, 4)
        + line("M216 252H246", dark(STEEL, 0.4), 6)
        + rect(160, 222, 80, 16, dark(STEEL, 0.45), 6)
        + both(line("M168 228L136 212", dark(STEEL, 0.45), 6))
        + "".join(group(flame, move=(x, 224)) for x in (172, 190, 210, 228))
        + rect(118, 110, 164, 98, STEEL, 12)
        + path("M200 110H270C277 110 282 115 282 122V196C282 203 277 208 270 208H200Z", dark(STEEL, 0.16))
        + rect(110, 100, 180, 18, light(STEEL, 0.35), 8)
        + oval(200, 92, 15, 10, t.trim)
        + line("M282 136C322 138 338 142 352 154", dark(STEEL, 0.5), 9)
        + line("M134 132V188", PAPER, 6, more='opacity=".55"')
        + "".join(
            line(f"M{x} 76C{x - 8} 64 {x + 8} 56 {x} 42", light(STEEL, 0.6), 5, more='opacity=".8"')
            for x in (168, 200, 232)
        )
    )


def mug(t: Tint) -> str:
    """An enamel mug with a pine on it."""
    specks = "".join(
        oval(x, y, 2.6, 2, t.trim)
        for x, y in ((140, 170), (168, 300), (248, 160), (262, 252), (140, 262), (232, 316), (262, 200))
    )
    return (
        ground(y=340, rx=100)
        + line("M282 162C352 156 352 274 274 272", t.main, 22)
        + line("M282 162C352 156 352 274 274 272", t.shade, 5, more='opacity=".4"')
        + path("M114 112H292L282 308C281 326 270 336 252 336H154C136 336 125 326 124 308Z", t.main)
        + path("M216 112H292L282 308C281 326 270 336 252 336H216Z", t.shade, more='opacity=".35"')
        + oval(203, 112, 89, 18, t.trim)
        + oval(203, 114, 78, 13, dark("#5b3b26", 0.1))
        + path("M203 164L176 206H190L168 240H188L164 276H194V298H212V276H242L218 240H238L216 206H230Z", t.trim)
        + specks
        + "".join(line(f"M{x} 84C{x - 8} 72 {x + 8} 62 {x} 48", PAPER, 6, more='opacity=".75"') for x in (184, 220))
    )


def flask(t: Tint) -> str:
    """A vacuum flask with its cup beside it."""
    return (
        ground(y=352, rx=120)
        + rect(126, 126, 98, 222, t.main, 16)
        + path("M178 126H208C217 126 224 133 224 142V332C224 341 217 348 208 348H178Z", t.shade, more='opacity=".5"')
        + rect(136, 104, 78, 26, STEEL, 6)
        + rect(132, 46, 86, 66, t.trim, 14)
        + path("M178 46H204C212 46 218 52 218 60V98C218 106 212 112 204 112H178Z", dark(t.trim, 0.2))
        + rect(126, 312, 98, 16, t.trim)
        + line("M144 146V296", light(t.main, 0.65), 8, more='opacity=".55"')
        + path("M158 232L176 204L186 218L194 208L210 232Z", light(t.trim, 0.6))
        + path("M252 282H338L330 338C329 346 324 350 316 350H274C266 350 261 346 260 338Z", t.trim)
        + path("M300 282H338L330 338C329 346 324 350 316 350H300Z", dark(t.trim, 0.18))
        + oval(295, 282, 43, 9, dark("#5b3b26", 0.1))
        + "".join(
            line(f"M{x} 262C{x - 7} 252 {x + 7} 244 {x} 232", light(STEEL, 0.55), 5, more='opacity=".8"')
            for x in (284, 306)
        )
    )


def bottle(t: Tint) -> str:
    """A steel bottle with a loop."""
    return (
        ground(y=352, rx=70)
        + line("M182 76C176 40 224 40 218 76", t.trim, 10)
        + rect(172, 70, 56, 34, dark(t.trim, 0.1), 8)
        + path(
            "M176 104H224C228 128 254 138 254 168V330C254 342 246 348 234 348H166C154 348 146 342 146 330V168C146 138 172 128 176 104Z",
            t.main,
        )
        + path("M204 104H224C228 128 254 138 254 168V330C254 342 246 348 234 348H204Z", t.shade, more='opacity=".5"')
        + line("M166 176V316", light(t.main, 0.7), 8, more='opacity=".55"')
        + path(
            "M146 286C176 262 190 276 206 264C224 250 236 262 254 252V330C254 342 246 348 234 348H166C154 348 146 342 146 330Z",
            t.trim,
            more='opacity=".75"',
        )
        + path(
            "M146 306C172 290 200 306 254 280V330C254 342 246 348 234 348H166C154 348 146 342 146 330Z",
            dark(t.trim, 0.25),
            more='opacity=".8"',
        )
    )


def lantern(t: Tint) -> str:
    """A storm lantern, lit."""
    return (
        ground(y=350, rx=86)
        + oval(200, 206, 104, 96, "#f5d27a", more='opacity=".25"')
        + line("M132 180C116 70 284 70 268 180", dark(STEEL, 0.35), 5)
        + path("M166 108H234L246 134H154Z", t.main)
        + rect(176, 84, 48, 26, t.shade, 7)
        + path("M158 134H242C262 170 262 232 238 262H162C138 232 138 170 158 134Z", "#fbeec4", more='opacity=".9"')
        + path("M200 176C226 206 220 240 200 240C180 240 174 206 200 176Z", "#f0a04b")
        + path("M200 204C212 220 210 238 200 238C190 238 188 220 200 204Z", "#fbe39a")
        + line("M168 146C152 176 152 222 170 252", PAPER, 6, more='opacity=".8"')
        + both(line("M146 138C118 180 118 236 150 276", dark(STEEL, 0.3), 7))
        + rect(156, 258, 88, 18, t.shade, 5)
        + path("M140 276H260L278 330C280 342 274 348 262 348H138C126 348 120 342 122 330Z", t.main)
        + path("M200 276H260L278 330C280 342 274 348 262 348H200Z", t.shade, more='opacity=".5"')
        + oval(254, 300, 11, 11, t.trim)
    )


def hammock(t: Tint) -> str:
    """A hammock between two birches."""
    birch = rect(-15, -290, 30, 290, "#ece7da", 4) + "".join(
        rect(x, y, 14, 5, INK, 2) for x, y in ((-15, -250), (2, -214), (-15, -170), (1, -128), (-13, -76), (2, -36))
    )
    leaves = "".join(
        oval(dx, dy, r, r * 0.8, c)
        for dx, dy, r, c in ((-30, -300, 40, "#7f9360"), (26, -310, 44, "#8fa36b"), (0, -336, 38, "#71875a"))
    )
    return (
        oval(200, 336, 184, 18, "#a9b583")
        + group(birch, leaves, move=(62, 336))
        + group(birch, leaves, move=(338, 336))
        + line("M76 182L124 206M324 182L276 206", dark(STEEL, 0.4), 4)
        + path("M118 202C150 196 250 196 282 202C280 262 250 292 200 292C150 292 120 262 118 202Z", t.shade)
        + path("M118 202C160 250 240 250 282 202C280 262 250 292 200 292C150 292 120 262 118 202Z", t.main)
        + line("M140 232C170 266 230 266 260 232M154 256C178 278 222 278 246 256", t.trim, 6)
        + path("M138 218C152 196 188 204 192 226C178 234 156 234 138 218Z", light(t.trim, 0.6))
    )


def camp_chair(t: Tint) -> str:
    """A folding chair of beech and canvas."""
    return (
        ground(y=350, rx=112)
        + mirror(line("M120 344L262 168", dark(WOOD, 0.25), 12))
        + path("M116 84C112 130 116 178 126 226L272 226C284 178 288 130 284 84C240 98 160 98 116 84Z", t.main)
        + path("M200 94C232 94 262 91 284 84C288 130 284 178 272 226H200Z", t.shade, more='opacity=".45"')
        + line("M116 76L122 250M284 76L278 250", WOOD, 12)
        + path("M106 236H294L282 266C240 278 160 278 118 266Z", t.shade)
        + line("M112 344L262 250M288 344L138 250", WOOD, 12)
        + line("M124 112C160 122 240 122 276 112", light(t.main, 0.4), 2.5, dash="7 6")
        + rect(182, 178, 36, 24, t.trim, 4)
    )
