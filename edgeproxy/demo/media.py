"""The demo shop's files: style sheet, pictures, robots.txt, sitemap.  Pictures are drawn when they are asked for."""

from __future__ import annotations

from email.utils import formatdate

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from .catalogue import catalogue
from .pages import CHANGED, answer, sitemap_paths, stylesheet
from .pictures.pen import drawing
from .pictures.scenes import SCENES

WEEK = {"cache-control": "public, max-age=604800", "last-modified": formatdate(CHANGED, usegmt=True)}
FOREVER = {"cache-control": "public, max-age=31536000, immutable", "last-modified": WEEK["last-modified"]}
SVG = "image/svg+xml"


async def style(request: Request) -> Response:
    path, text = stylesheet()
    if request.url.path != path:
        raise HTTPException(404)
    return answer(request, text, "text/css; charset=utf-8", FOREVER)


async def product_picture(request: Request) -> Response:
    slug, _, colour_slug = request.path_params["name"].rpartition("-")
    product = catalogue().product(slug)
    colour = next((c for c in product.colours if c.slug == colour_slug), None) if product else None
    if product is None or colour is None:
        raise HTTPException(404)
    return answer(request, product.draw(colour).encode(), SVG, WEEK)


async def scene_picture(request: Request) -> Response:
    scene = SCENES.get(request.path_params["name"])
    if scene is None:
        raise HTTPException(404)
    return answer(request, scene().encode(), SVG, WEEK)


ICON = (
    '<circle cx="24" cy="24" r="24" fill="#1f3a34"/><path d="M24 8 15 22h4l-6 9h8v6h6v-6h8l-6-9h4z" fill="#f0e6d2"/>'
    '<path d="M6 35c6-4 10 3 17 0s12-3 19 0" fill="none" stroke="#d98a3a" stroke-width="3" stroke-linecap="round"/>'
)


async def icon(request: Request) -> Response:
    return answer(request, drawing("Vindskär", 48, 48, ICON).encode(), SVG, WEEK)


async def robots(request: Request) -> Response:
    closed = "".join(f"Disallow: {path}\n" for path in ("/basket", "/checkout", "/account", "/search"))
    text = f"User-agent: *\n{closed}Sitemap: {request.base_url}sitemap.xml\n"
    return answer(request, text.encode(), "text/plain; charset=utf-8", WEEK)


async def sitemap(request: Request) -> Response:
    host = str(request.base_url).rstrip("/")
    places = "".join(f"<url><loc>{host}{path}</loc></url>\n" for path in sitemap_paths())
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    text = f"{head}{places}</urlset>\n"
    return answer(request, text.encode(), "application/xml", WEEK)
