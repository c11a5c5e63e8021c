"""Every page of the demo shop is sound HTML that people can use: links lead somewhere, fields have labels."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from xml.etree import ElementTree

import pytest
import turbohtml
from selectolax.lexbor import LexborHTMLParser, LexborNode

from edgeproxy.demo.catalogue import catalogue
from edgeproxy.demo.pages import sitemap_paths
from edgeproxy.demo.pictures.scenes import SCENES
from edgeproxy.html.wellformed import mistakes
from edgeproxy.why.page import WHY_PATH
from tests.demo.browser import Browser

BEHIND_FORMS = ("/search?q=wool", "/search?q=zeppelin", "/search", "/basket", "/checkout", "/account/login", "/nope")
PATHS = (*sitemap_paths(), *BEHIND_FORMS)


@cache
def page(path: str) -> str:
    visitor = Browser()
    visitor.fill_basket()
    return visitor.get(path).text


@cache
def status(path: str) -> int:
    visitor = Browser()
    visitor.fill_basket()
    return visitor.get(path).status_code


def tree(path: str) -> LexborHTMLParser:
    return LexborHTMLParser(page(path))


@pytest.mark.parametrize("path", PATHS)
def test_it_is_well_formed(path: str) -> None:
    turbohtml.parse(page(path), strict=True)
    _, _, body = page(path).partition("<body")
    body, end, after = body.partition(">")[2].rpartition("</body>")
    assert end
    assert after == "\n</html>\n"
    assert list(mistakes(body)) == []


@pytest.mark.parametrize("path", PATHS)
def test_ids_are_unique_and_those_referred_to_exist(path: str) -> None:
    ids = Counter(node.attributes["id"] for node in tree(path).css("[id]"))
    assert [one for one, count in ids.items() if count > 1] == []
    for name in ("for", "aria-labelledby", "aria-describedby"):
        for node in tree(path).css(f"[{name}]"):
            assert set((node.attributes[name] or "").split()) <= set(ids), f"{name} of {node.html}"


@pytest.mark.parametrize("path", PATHS)
def test_it_reads_well_without_eyes(path: str) -> None:
    doc = tree(path)
    assert [node.attributes.get("lang") for node in doc.css("html")] == ["en"]
    assert len(doc.css("main")) == len(doc.css("h1")) == 1
    assert [node.html for node in doc.css("img") if "alt" not in node.attributes] == []
    labels = {node.attributes["for"] for node in doc.css("label[for]")}
    for field in doc.css("input:not([type=hidden]), select, textarea"):
        assert field.attributes.get("id") in labels or _inside(field, "label"), f"no label: {field.html}"
    levels = [int(str(node.tag)[1]) for node in doc.css("main h1, main h2, main h3")]
    assert all(deeper - upper <= 1 for upper, deeper in zip([0, *levels], levels, strict=False)), levels


def _inside(node: LexborNode, tag: str) -> bool:
    parent = node.parent
    return parent is not None and (parent.tag == tag or _inside(parent, tag))


def test_every_link_and_picture_is_there() -> None:
    wanted: dict[str, str] = {}
    for path in PATHS:
        for node in tree(path).css("[href], [src]"):
            address = node.attributes.get("href") or node.attributes.get("src") or ""
            assert address.startswith(("/", "#", "mailto:")), f"{address} on {path} leads out of the shop"
            if address.startswith("/") and address != WHY_PATH:  # edgeproxy's own page, in front of the shop
                wanted.setdefault(address, path)
    wanted.update({found: path for path in PATHS for found in re.findall(r"url\((/[^)]+)\)", page(path))})
    broken = {to: by for to, by in wanted.items() if status(to.partition("#")[0]) not in {200, 303}}
    assert broken == {}
    for to, by in wanted.items():
        target, _, anchor = to.partition("#")
        assert not anchor or tree(target).css_first(f"#{anchor}") is not None, f"{to} on {by}"


@pytest.mark.parametrize("slug", [product.slug for product in catalogue().products])
def test_a_product_has_a_picture_in_each_colour(slug: str) -> None:
    product = catalogue().product(slug)
    assert product is not None
    drawn = {product.draw(colour) for colour in product.colours}
    assert len(drawn) == len(product.colours)
    for picture in drawn:
        assert_self_contained(picture)


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_a_picture(name: str) -> None:
    assert_self_contained(SCENES[name]())


def assert_self_contained(picture: str) -> None:
    root = ElementTree.fromstring(picture)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "href" not in picture
    assert "<script" not in picture
    ids = set(re.findall(r'id="([^"]+)"', picture))
    assert set(re.findall(r"url\(#([^)]+)\)", picture)) <= ids


# ---------------------------------------------------------------------- colours that can be read

PAIRS = (
    ("ink", "paper"), ("soft", "paper"), ("soft", "card"), ("soft", "sand"), ("rust", "paper"), ("rust", "card"),
    ("spruce", "card"), ("ink", "sun"), ("ink", "moss"),
)  # fmt: skip


@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_stands_out_from_its_ground(text: str, ground: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    (link,) = tree("/").css("link[rel=stylesheet]")
    style = Browser().get(link.attributes["href"] or "").text
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", style))
    upper, lower = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
    assert (upper + 0.05) / (lower + 0.05) >= 4.5


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
