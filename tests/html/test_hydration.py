"""Which parts of a page a framework hydrates."""

from __future__ import annotations

import json

import pytest

from edgeproxy.core.model import Expect
from edgeproxy.html import hydration
from edgeproxy.html.locate import Source
from edgeproxy.html.model import Element, PagePlan
from edgeproxy.html.plan import plan
from tests.html.oracle import UTF8, slot

HEAD = "<!doctype html><html><head><title>t</title></head><body><p id=beside>beside</p>"
TREE = "<header id=top><h1 id=deep>Boots</h1></header>"
STATE = json.dumps({"props": {}})


def page(html: str, whole: bool = False) -> PagePlan:
    body = html if whole else f"{HEAD}{html}</body></html>"
    return plan(body.encode(), UTF8, [slot("all", "*", Expect.ANY)])


def element(planned: PagePlan, name: str) -> Element:
    """The element whose id is ``name``, or whose tag."""
    for found in planned.slots["all"].elements:
        if name in (found.tag, found.attributes.get("id", (0, 0, ""))[2]):
            return found
    raise AssertionError(f"no {name}")


ROOTED = [
    (
        "Next",
        f'<div id="__next">{TREE}</div><script id="__NEXT_DATA__" type="application/json">{STATE}</script>',
        "__next",
    ),
    ("Nuxt", f'<div id="__nuxt">{TREE}</div><script>window.__NUXT__={{}}</script>', "__nuxt"),
    ("Nuxt", f'<div id="__nuxt">{TREE}</div><script id="__NUXT_DATA__" type="application/json">[]</script>', "__nuxt"),
    ("Gatsby", f'<div id="___gatsby">{TREE}</div><script>window.___webpackCompilationHash="a"</script>', "___gatsby"),
    ("React", f'<div id="shop"><div data-reactroot="">{TREE}</div></div>', "shop"),
    ("Solid", f'<div id="shop"><div data-hk="0">{TREE}</div></div>', "shop"),
    ("Astro", f'<astro-island id="island" client="load">{TREE}</astro-island>', "island"),
    ("SvelteKit", f"<div id='svelte'>{TREE}<script>{{ __sveltekit_1 = {{}}; }}</script></div>", "svelte"),
    ("a framework", f'<div id="root">{TREE}</div><script type="application/json" id="state">{STATE}</script>', "root"),
    ("a framework", f'<div id="app">{TREE}</div><script>window.__INITIAL_STATE__={STATE}</script>', "app"),
    ("a framework", f'<div id="app">{TREE}</div><script>window.eContext = {STATE}</script>', "app"),
    ("React", f'<div id="root">{TREE}<!--$--><p>lazy</p><!--/$--></div><script src="/a.js"></script>', "root"),
]


@pytest.mark.parametrize(("framework", "html", "container"), ROOTED)
def test_a_container_holds_what_is_hydrated(framework: str, html: str, container: str) -> None:
    planned = page(html)
    assert planned.framework == framework
    root = element(planned, container)
    assert (root.hydrated, root.hydrates) == (False, True)
    for inside in ("top", "deep"):
        assert (element(planned, inside).hydrated, element(planned, inside).hydrates) == (True, False)
    for outside in ("beside", "body", "title"):
        assert (element(planned, outside).hydrated, element(planned, outside).hydrates) == (False, False)


MARKED = [
    ("Vue", f'<div id="shop" data-server-rendered="true">{TREE}</div>'),
    ("Vue", f'<div id="shop" data-v-app>{TREE}</div>'),
    ("Angular", f'<app-shop id="shop" ng-version="19.0.0" ng-server-context="ssr">{TREE}</app-shop>'),
]


@pytest.mark.parametrize(("framework", "html"), MARKED)
def test_a_marked_root_is_hydrated_itself(framework: str, html: str) -> None:
    planned = page(html)
    assert planned.framework == framework
    root = element(planned, "shop")
    assert (root.hydrated, root.hydrates) == (True, True)
    assert element(planned, "deep").hydrated
    assert not element(planned, "beside").hydrated


WHOLE = [
    ("Next", "<script>(self.__next_f=self.__next_f||[]).push([0])</script>"),
    ("Next", "<script>self.__next_f.push([1,'a'])</script>"),
    ("Remix", "<script>window.__remixContext = {};</script>"),
    ("React Router", '<script>window.__reactRouterContext = {"basename":"/"};</script>'),
    ("SolidStart", "<script>window._$HY||(e=>{})</script>"),
    ("React", "<p>a<!-- -->b</p><script type=application/json>{}</script>"),
    ("React", "<!--$--><p>lazy</p><!--/$-->"),
    ("Next", f'<script id="__NEXT_DATA__" type="application/json">{STATE}</script>'),  # its container is gone
]


@pytest.mark.parametrize(("framework", "html"), WHOLE)
def test_a_whole_document_is_hydrated(framework: str, html: str) -> None:
    planned = page(TREE + html)
    assert planned.framework == framework
    for name in ("body", "beside", "top", "deep"):
        assert element(planned, name).hydrated
    for name in ("html", "head", "title"):
        assert not element(planned, name).hydrated  # styles at the end of head stay
    assert planned.head_end is not None
    assert planned.body_end is not None


@pytest.mark.parametrize(
    "html",
    [
        TREE,
        f"<div id=app>{TREE}</div>",
        f'<div id=app>{TREE}</div><script type="application/ld+json">{STATE}</script>',
        f"<div id=app></div><script>window.__CONFIG__={STATE}</script>",  # an empty container is filled, not hydrated
        f'<div id=page>{TREE}<script type="application/json">{STATE}</script></div>',
        f"<div id=page>{TREE}</div><script>var dataLayer = [];</script><script src=/jquery.js></script>",
        f"<div id=page>{TREE}</div><script>window.___gcfg = {{lang: 'sv'}};</script>",  # Google's buttons
        f"<div id=page>{TREE}</div><script type='text/x-magento-init'>{STATE}</script><!-- ko -->",
        f'<template><div data-reactroot="">{TREE}</div></template><header id=top></header><h1 id=deep></h1>',
    ],
)
def test_pages_that_nobody_hydrates(html: str) -> None:
    planned = page(html)
    assert planned.framework is None
    assert not any(found.hydrated or found.hydrates for found in planned.slots["all"].elements)


def test_state_in_head_counts() -> None:
    planned = page(
        "<!doctype html><html><head><title>t</title><script>window.__remixContext={}</script></head>"
        f"<body>{TREE}</body></html>",
        whole=True,
    )
    assert planned.framework == "Remix"
    assert element(planned, "deep").hydrated


@pytest.mark.parametrize("html", [html for _, html in MARKED] + [f"<div id={name}>" for name in ("__next", "app")])
def test_a_page_announces_that_it_will_be_hydrated(html: str) -> None:
    head = "<!doctype html><head><title>t</title></head><body>"
    assert hydration.announced(Source((head + html).encode(), 0))
    assert hydration.announced(Source((head + "<link rel=modulepreload href=/a.js>").encode(), 0))
    assert not hydration.announced(Source((head + "<div id=page><script src=/jquery.js></script>").encode(), 0))
