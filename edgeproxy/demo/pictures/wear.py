"""Pictures of what one wears: coats, knitwear, boots."""

# ruff: noqa: E501 - path data reads worse when it is cut

from __future__ import annotations

from .pen import INK, Tint, both, dark, ground, group, light, line, mirror, oval, path, rect

_BODY = "M138 118C160 108 240 108 262 118L271 205L268 {hem}C268 {end} 262 {low} 254 {low}L146 {low}C138 {low} 132 {end} 132 {hem}L129 205Z"
_SLEEVE = "M142 117C112 124 99 148 92 190L76 290C75 299 80 305 89 306L111 308C119 308 123 304 125 296L140 205Z"


def _body(low: float) -> str:
    return _BODY.format(hem=low - 12, end=low - 5, low=low)


def jacket(t: Tint) -> str:
    """A hooded shell with a contrasting yoke."""
    return (
        ground(rx=92)
        + path("M146 112C140 42 260 42 254 112L264 128H136Z", t.shade)
        + path("M164 112C160 66 240 66 236 112C226 126 174 126 164 112Z", t.deep)
        + path(_SLEEVE, t.shade)
        + mirror(path(_SLEEVE, dark(t.main, 0.32)))
        + path(_body(332), t.main)
        + path(
            "M200 111C225 110 250 112 262 118L271 205L268 320C268 328 262 332 254 332H200Z",
            t.shade,
            more='opacity=".55"',
        )
        + path("M138 118C160 108 240 108 262 118L267 166C232 182 168 182 133 166Z", t.trim)
        + path("M200 112C225 110 250 112 262 118L267 166C246 176 222 178 200 178Z", dark(t.trim, 0.14))
        + line("M200 112V332", t.deep, 5)
        + rect(196, 124, 8, 18, light(t.trim, 0.6), 3)
        + both(line("M152 236L172 290", t.deep, 4), line("M80 284L121 289", t.deep, 4))
        + rect(226, 190, 22, 14, light(t.trim, 0.5), 3)
        + line("M134 320H266", t.deep, 2, dash="5 5", more='opacity=".5"')
    )


def parka(t: Tint) -> str:
    """A long coat with a fleece-lined hood."""
    lining = light(t.trim, 0.35)
    fluff = "".join(
        oval(200 + dx, 92 + dy, 15, 13, lining) for dx, dy in ((-50, 26), (-54, 2), (-44, -22), (-24, -38), (0, -43))
    )
    return (
        ground(y=356, rx=90)
        + path("M146 118C140 44 260 44 254 118Z", t.shade)
        + both(fluff)
        + oval(200, 96, 34, 36, t.deep)
        + path(_SLEEVE, t.shade)
        + mirror(path(_SLEEVE, dark(t.main, 0.3)))
        + path(
            "M138 118C160 110 240 110 262 118L272 210L280 344C280 350 276 354 270 354H130C124 354 120 350 120 344L128 210Z",
            t.main,
        )
        + path(
            "M200 112C225 112 250 112 262 118L272 210L280 344C280 350 276 354 270 354H200Z",
            t.shade,
            more='opacity=".5"',
        )
        + rect(188, 116, 24, 238, t.shade)
        + "".join(oval(200, y, 4.5, 4.5, lining) for y in (146, 190, 234, 278, 322))
        + both(
            rect(134, 252, 44, 48, t.main, 5, more=f'stroke="{t.deep}" stroke-width="2.5"'),
            path("M132 248H180V262C164 270 148 270 132 262Z", t.shade),
            line("M79 288L122 293", t.deep, 4),
        )
        + line("M126 214C160 222 240 222 274 214", t.deep, 3, dash="6 6", more='opacity=".6"')
    )


def raincoat(t: Tint) -> str:
    """A straight raincoat with press studs and a wide hood."""
    return (
        ground(y=354, rx=88)
        + path("M150 116C132 50 268 50 250 116L262 124H138Z", t.shade)
        + path("M166 114C158 74 242 74 234 114C222 130 178 130 166 114Z", t.deep)
        + path(_SLEEVE, t.shade)
        + mirror(path(_SLEEVE, dark(t.main, 0.26)))
        + path("M138 118C160 108 240 108 262 118L276 344C276 348 272 352 266 352H134C128 352 124 348 124 344Z", t.main)
        + path("M208 110C230 110 250 112 262 118L276 344C276 348 272 352 266 352H208Z", t.shade, more='opacity=".45"')
        + line("M208 112V352", t.deep, 2.5, more='opacity=".6"')
        + "".join(oval(194, y, 5, 5, t.trim) for y in (140, 180, 220, 260, 300))
        + both(path("M140 246L182 252V264L139 258Z", t.shade), line("M79 287L122 291", t.deep, 3))
        + line("M150 138L143 232", light(t.main, 0.6), 5, more='opacity=".5"')
    )


def sweater(t: Tint) -> str:
    """A round-yoke sweater."""
    yoke = "".join(
        path(f"M{x} {y - 9}L{x + 9} {y}L{x} {y + 9}L{x - 9} {y}Z", t.trim)
        for x, y in ((152, 150), (176, 158), (200, 161), (224, 158), (248, 150))
    )
    dots = "".join(
        oval(x, y, 3.2, 3.2, light(t.trim, 0.5)) for x, y in ((164, 137), (188, 143), (212, 143), (236, 137))
    )
    ribs = "".join(line(f"M{x} 312V332", t.shade, 2.5) for x in range(142, 262, 9))
    return (
        ground(rx=96)
        + path(_SLEEVE, t.shade)
        + mirror(path(_SLEEVE, dark(t.main, 0.3)))
        + path(_body(334), t.main)
        + path(
            "M200 111C225 110 250 112 262 118L271 205L268 322C268 330 262 334 254 334H200Z",
            t.shade,
            more='opacity=".4"',
        )
        + path("M165 112C175 134 225 134 235 112L262 118L266 160C240 190 160 190 134 160L138 118Z", dark(t.main, 0.12))
        + yoke
        + dots
        + line("M136 168C162 194 238 194 264 168", t.trim, 3.5, dash="2 8")
        + path("M160 113C168 92 232 92 240 113C232 138 168 138 160 113Z", t.trim)
        + path("M171 112C178 100 222 100 229 112C222 124 178 124 171 112Z", t.deep)
        + ribs
        + both(line("M79 284L122 289", t.trim, 6), line("M77 296L121 300", t.shade, 4))
    )


def trousers(t: Tint) -> str:
    """Trekking trousers with reinforced knees."""
    return (
        ground(y=352, rx=84)
        + path(
            "M140 66H260L282 340C282 346 278 350 272 350H226C220 350 217 346 216 340L200 176L184 340C183 346 180 350 174 350H128C122 350 118 346 118 340Z",
            t.main,
        )
        + path(
            "M200 66H260L282 340C282 346 278 350 272 350H226C220 350 217 346 216 340L200 176Z",
            t.shade,
            more='opacity=".55"',
        )
        + both(
            path("M128 214L182 210L178 268L124 268Z", t.trim),
            line("M146 92C150 120 140 134 134 138", t.deep, 3),
            rect(124, 150, 30, 42, t.shade, 4),
            line("M121 330H182", t.deep, 2, dash="5 5", more='opacity=".6"'),
        )
        + rect(138, 58, 124, 22, t.deep, 4)
        + rect(188, 60, 24, 18, light(t.trim, 0.4), 3)
        + line("M200 82V150", t.deep, 3)
    )


def beanie(t: Tint) -> str:
    """A ribbed hat with a bobble."""
    ribs = "".join(
        line(f"M{200 + k * 21} 236C{200 + k * 22} 170 {200 + k * 13} 122 {200 + k * 5} 108", t.shade, 4)
        for k in range(-4, 5)
    )
    cuff = "".join(line(f"M{x} 232V292", dark(t.main, 0.36), 3) for x in range(112, 300, 14))
    wool = "".join(
        oval(200 + dx, 90 + dy, 6, 6, light(t.trim, 0.35))
        for dx, dy in ((-20, -8), (-6, -22), (14, -16), (22, 4), (2, 2), (-16, 14), (10, 18))
    )
    return (
        ground(y=318, rx=100)
        + path("M108 246C104 150 150 100 200 100C250 100 296 150 292 246Z", t.main)
        + ribs
        + oval(200, 90, 36, 34, t.trim)
        + wool
        + rect(98, 224, 204, 78, t.shade, 20)
        + cuff
        + rect(218, 246, 44, 32, light(t.trim, 0.55), 4)
        + path("M228 268L240 253L252 268Z", INK)
    )


def mittens(t: Tint) -> str:
    """A pair of patterned mittens."""
    star = "".join(line("M0 -20V20", t.trim, 5, more=f'transform="rotate({a})"') for a in (0, 60, 120))
    one = (
        path("M-38 22C-58 -14 -88 -8 -80 26C-74 48 -54 62 -40 66Z", t.shade)
        + path("M-50 92L-54 -34C-54 -104 54 -104 54 -34L50 92Z", t.main)
        + path("M0 -87C30 -87 54 -69 54 -34L50 92H0Z", t.shade, more='opacity=".35"')
        + group(star, move=(0, -30))
        + line("M-44 26L-30 12L-15 26L0 12L15 26L30 12L44 26", t.trim, 5)
        + line("M-44 46L-30 32L-15 46L0 32L15 46L30 32L44 46", light(t.trim, 0.5), 4)
        + rect(-56, 70, 112, 54, t.trim, 8)
        + "".join(line(f"M{x} 76V118", dark(t.trim, 0.25), 3) for x in range(-44, 50, 11))
    )
    left = group(one, turn=-8)
    return ground(y=342, rx=126) + group(left, move=(126, 204)) + mirror(group(left, move=(126, 204)))


def socks(t: Tint) -> str:
    """Two wool socks, one behind the other."""
    leg = "M-34 -120H36V34C36 52 54 62 84 72C116 83 112 122 78 122H2C-30 122 -40 98 -38 62Z"
    one = (
        path(leg, t.main)
        + path("M-36 44C-40 96 -30 122 2 122L18 122C-2 104 -6 70 6 46Z", t.trim)
        + path("M84 72C116 83 112 122 78 122H62C54 104 62 82 84 72Z", t.trim)
        + path("M-34 -120H36V-92H-34Z", t.shade)
        + "".join(line(f"M{x} -116V-96", t.deep, 2.5, more='opacity=".5"') for x in range(-26, 34, 9))
        + rect(-34, -74, 70, 12, t.trim)
        + rect(-34, -54, 70, 6, light(t.trim, 0.45))
        + line("M-14 -30C-12 0 -14 20 -18 40", light(t.main, 0.5), 4, more='opacity=".6"')
    )
    return (
        ground(y=336, rx=120) + group(one, move=(232, 196), turn=6, more='opacity=".92"') + group(one, move=(150, 210))
    )


def boot(t: Tint) -> str:
    """A hiking boot, seen from the side."""
    upper = "M104 92C104 84 110 80 118 82C146 88 178 86 204 80C212 78 218 82 219 90L226 164C230 190 262 204 300 218C328 228 338 246 338 270V288H100L106 170Z"
    laces = "".join(
        line(
            f"M{188 - i * 2 + i * i * 1.4:.0f} {112 + i * 20}L{216 + i * i * 2.2:.0f} {104 + i * 21}",
            light(t.trim, 0.5),
            6,
        )
        for i in range(6)
    )
    lugs = "".join(rect(96 + i * 31, 312, 20, 12, INK, 3) for i in range(8))
    return (
        ground(y=330, rx=136, ry=11)
        + path(upper, t.main)
        + path(
            "M104 92C104 84 110 80 118 82C146 88 178 86 204 80C212 78 218 82 219 90L221 112C186 122 140 120 105 112Z",
            t.deep,
        )
        + path("M106 170C130 190 150 230 152 288H100Z", t.shade)
        + path("M262 288C262 250 282 224 304 219C328 228 338 246 338 270V288Z", t.shade)
        + path("M176 116C184 176 206 214 262 232L254 250C198 232 168 186 160 122Z", t.trim, more='opacity=".9"')
        + laces
        + line("M120 140C140 190 170 240 252 262", t.deep, 3, dash="5 6", more='opacity=".65"')
        + path("M94 284H340C348 284 350 290 349 298L346 312H92C88 302 88 288 94 284Z", light(t.trim, 0.25))
        + rect(92, 302, 256, 16, INK, 6)
        + lugs
        + path("M104 96C92 84 92 66 106 62", line=t.trim, width=8)
    )


def wellington(t: Tint) -> str:
    """A rubber boot."""
    return (
        ground(y=336, rx=128, ry=11)
        + path("M128 66H234L238 210C240 226 262 234 292 244C322 254 336 272 336 304V312H122L132 200Z", t.main)
        + path(
            "M190 66H234L238 210C240 226 262 234 292 244C322 254 336 272 336 304V312H226C206 260 192 180 190 66Z",
            t.shade,
            more='opacity=".5"',
        )
        + oval(181, 66, 53, 11, t.deep)
        + rect(127, 84, 109, 20, t.trim, 3)
        + line("M148 122C152 180 148 230 144 276", light(t.main, 0.65), 8, more='opacity=".5"')
        + path(
            "M118 300H338C342 300 344 304 344 310V322C344 328 340 330 334 330H292L286 322H190L184 330H124C118 330 114 326 114 320V306C114 302 116 300 118 300Z",
            t.deep,
        )
        + path("M226 232C252 240 280 246 300 254", line=t.deep, width=3, more='opacity=".5"')
        + rect(150, 84, 30, 20, light(t.trim, 0.55), 3)
    )


def felt_slipper(t: Tint) -> str:
    """A felt slipper."""
    return (
        ground(y=306, rx=140, ry=11)
        + path(
            "M70 210C66 180 96 164 124 176C150 188 170 196 200 190C250 178 330 214 336 268C338 284 330 290 318 290H88C74 290 70 280 70 268Z",
            t.main,
        )
        + path(
            "M124 176C150 188 170 196 200 190C196 216 170 232 132 226C104 222 84 206 78 188C90 172 108 170 124 176Z",
            t.deep,
        )
        + line("M78 188C88 218 126 240 164 230C188 224 200 208 202 190", t.trim, 7)
        + path(
            "M250 196C300 208 334 236 336 268C338 284 330 290 318 290H262C240 262 236 226 250 196Z",
            t.shade,
            more='opacity=".6"',
        )
        + path("M70 274H336V288C336 296 330 300 322 300H84C76 300 70 296 70 288Z", light(t.trim, 0.2))
        + line("M86 282H324", dark(t.trim, 0.3), 2.5, dash="8 7")
    )
