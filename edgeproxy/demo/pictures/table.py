"""Pictures of what stands on a table or beside a basin."""

# ruff: noqa: E501 - path data reads worse when it is cut

from __future__ import annotations

from .pen import PAPER, STEEL, WOOD, Tint, dark, ground, group, light, line, oval, path, rect


def bowls(t: Tint) -> str:
    """Three stacked stoneware bowls."""

    def one(y: float, w: float, c: str) -> str:
        return (
            path(
                f"M{200 - w} {y}C{200 - w + 8} {y + 70} {200 - w / 2} {y + 92} 200 {y + 92}C{200 + w / 2} {y + 92} {200 + w - 8} {y + 70} {200 + w} {y}Z",
                c,
            )
            + path(
                f"M200 {y}H{200 + w}C{200 + w - 8} {y + 70} {200 + w / 2} {y + 92} 200 {y + 92}Z",
                dark(c, 0.2),
                more='opacity=".55"',
            )
            + oval(200, y, w, 15, light(c, 0.35))
            + oval(200, y + 2, w - 12, 10, dark(c, 0.28))
            + path(
                f"M{200 - w + 14} {y + 22}C{200 - w + 22} {y + 52} {200 - w / 2} {y + 70} {200 - w / 2 + 10} {y + 74}",
                line=PAPER,
                width=5,
                more='opacity=".45"',
            )
        )

    specks = "".join(
        oval(x, y, 2.4, 2, dark(t.main, 0.5))
        for x, y in ((128, 268), (164, 292), (232, 270), (256, 288), (204, 306), (180, 262))
    )
    return (
        ground(y=340, rx=104)
        + rect(164, 326, 72, 14, dark(t.main, 0.4), 5)
        + one(242, 124, t.main)
        + specks
        + one(196, 108, t.trim)
        + one(152, 92, light(t.main, 0.35))
    )


def kettle(t: Tint) -> str:
    """An enamel kettle."""
    return (
        ground(y=342, rx=118)
        + path("M282 250C320 244 336 214 350 176L366 184C360 238 334 288 278 300Z", t.shade)
        + path(
            "M104 150C150 128 250 128 296 150C326 206 326 270 304 320C300 334 292 340 278 340H122C108 340 100 334 96 320C74 270 74 206 104 150Z",
            t.main,
        )
        + path(
            "M200 134C240 134 276 140 296 150C326 206 326 270 304 320C300 334 292 340 278 340H200Z",
            t.shade,
            more='opacity=".45"',
        )
        + path("M130 142C140 108 260 108 270 142C250 150 150 150 130 142Z", t.trim)
        + oval(200, 110, 17, 13, WOOD)
        + line("M100 168C84 44 316 44 300 168", dark(t.trim, 0.35), 10)
        + line("M150 68C180 56 220 56 250 68", WOOD, 18)
        + path("M108 178C96 220 98 270 112 306", line=PAPER, width=9, more='opacity=".5"')
        + line("M92 318H308", t.trim, 8)
    )


def teapot(t: Tint) -> str:
    """A stoneware teapot with a bamboo handle."""
    return (
        ground(y=338, rx=112)
        + line("M120 176C110 60 290 60 280 176", WOOD, 11)
        + path("M288 226C322 222 334 196 352 170L364 182C356 226 330 262 288 270Z", t.shade)
        + path(
            "M200 166C276 166 310 206 310 254C310 304 276 336 200 336C124 336 90 304 90 254C90 206 124 166 200 166Z",
            t.main,
        )
        + path("M200 166C276 166 310 206 310 254C310 304 276 336 200 336Z", t.shade, more='opacity=".45"')
        + path(
            "M90 254C130 280 270 280 310 254C310 304 276 336 200 336C124 336 90 304 90 254Z",
            t.trim,
            more='opacity=".85"',
        )
        + oval(200, 172, 58, 15, t.shade)
        + oval(200, 166, 56, 14, light(t.main, 0.2))
        + oval(200, 148, 15, 13, WOOD)
        + path("M116 214C126 196 144 186 162 182", line=PAPER, width=7, more='opacity=".55"')
    )


def board(t: Tint) -> str:
    """A chopping board with bread."""
    return (
        ground(y=336, rx=150)
        + path(
            "M66 226C66 206 78 196 98 196H282C302 196 312 204 330 206L360 204C372 204 372 236 360 236L330 234C312 236 314 300 282 306H98C78 306 66 296 66 276Z",
            WOOD,
            more='transform="translate(0 22)"',
        )
        + path(
            "M66 276C66 296 78 306 98 306H282C296 304 304 290 309 274V286C304 304 296 318 282 320H98C78 320 66 310 66 290Z",
            dark(WOOD, 0.3),
            more='transform="translate(0 22)"',
        )
        + "".join(line(f"M84 {y}C140 {y - 6} 220 {y + 6} 296 {y}", dark(WOOD, 0.14), 2.5) for y in (244, 262, 304))
        + oval(350, 242, 6, 6, dark(WOOD, 0.5))
        + path(
            "M96 252C84 176 130 136 186 136C242 136 286 172 276 252C276 268 262 272 250 272H118C106 272 96 266 96 252Z",
            "#c98d4b",
        )
        + path(
            "M186 136C242 136 286 172 276 252C276 268 262 272 250 272H186Z", dark("#c98d4b", 0.2), more='opacity=".5"'
        )
        + "".join(
            line(f"M{x} 162C{x + 12} 182 {x + 14} 206 {x + 8} 228", light("#c98d4b", 0.6), 7) for x in (134, 172, 212)
        )
        + rect(298, 172, 12, 90, t.trim, 4, more='transform="rotate(18 304 216)"')
        + path(
            "M312 70C326 92 326 138 318 176L302 172C304 132 304 96 312 70Z",
            STEEL,
            more='transform="rotate(18 304 216)"',
        )
    )


def vase(t: Tint) -> str:
    """A vase with branches."""
    leaf = path("M0 0C16 -8 30 -8 40 0C30 10 14 10 0 0Z", "#7f9360")
    spots = (
        (196, 150, -150),
        (190, 120, -30),
        (184, 84, -140),
        (186, 60, -60),
        (222, 132, -20),
        (236, 104, -130),
        (250, 76, -10),
        (262, 52, -80),
        (158, 118, -160),
        (142, 92, -50),
        (128, 70, -130),
    )
    return (
        ground(y=348, rx=86)
        + line(
            "M200 190C196 140 180 90 184 44M204 190C216 140 246 90 266 46M196 190C180 150 150 110 126 62",
            dark(WOOD, 0.35),
            4,
        )
        + "".join(group(leaf, move=(x, y), turn=a) for x, y, a in spots)
        + path(
            "M172 174H228C226 204 274 222 274 274C274 322 250 346 200 346C150 346 126 322 126 274C126 222 174 204 172 174Z",
            t.main,
        )
        + path("M200 174H228C226 204 274 222 274 274C274 322 250 346 200 346Z", t.shade, more='opacity=".45"')
        + path(
            "M127 266C160 284 240 284 273 266C276 290 270 306 262 318C236 330 164 330 138 318C130 306 124 290 127 266Z",
            t.trim,
            more='opacity=".8"',
        )
        + oval(200, 174, 29, 8, t.deep)
        + path("M146 258C148 240 160 226 172 216", line=PAPER, width=7, more='opacity=".55"')
    )


def soap(t: Tint) -> str:
    """Tar soap in its paper band, on a dish."""
    return (
        ground(y=318, rx=146)
        + path("M60 276H340C332 304 304 314 276 314H124C96 314 68 304 60 276Z", dark(WOOD, 0.1))
        + rect(56, 264, 288, 18, WOOD, 9)
        + "".join(line(f"M{x} 270V276", dark(WOOD, 0.35), 8) for x in (120, 160, 200, 240, 280))
        + rect(96, 168, 208, 96, t.main, 30)
        + path(
            "M96 224C150 236 250 236 304 224V234C304 250 290 264 274 264H126C110 264 96 250 96 234Z",
            t.shade,
            more='opacity=".6"',
        )
        + rect(154, 166, 92, 100, PAPER)
        + rect(154, 176, 92, 5, t.trim)
        + rect(154, 250, 92, 5, t.trim)
        + path("M200 190L186 212H194L180 232H196V242H204V232H220L206 212H214Z", t.trim)
        + line("M112 190C116 182 124 178 134 178", PAPER, 6, more='opacity=".7"')
        + "".join(
            oval(x, y, r, r, PAPER, more=f'opacity=".8" stroke="{dark(PAPER, 0.2)}" stroke-width="2"')
            for x, y, r in ((300, 150, 13), (326, 172, 8), (282, 126, 7))
        )
    )
