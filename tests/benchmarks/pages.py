"""Pages of a shop of any size, and the rules that change them: what all benchmarks look at."""

from __future__ import annotations

import json
from collections.abc import Mapping

from edgeproxy.core.model import Decision, PageRequest, RuleBook, Source, Visitor
from edgeproxy.core.rulefile import parse
from edgeproxy.html.checks import HtmlMarkup

KB = 1024
CONTENT_TYPE = "text/html; charset=utf-8"
_HEAD = """<!DOCTYPE html>
<html lang=en><head><meta charset=utf-8><title>Shop</title><meta name=csrf content="{token}">
<link rel=stylesheet href=/app.css><script>var s = "<section id=hero>";</script></head>
<body class="page home"><header><nav id="mega-menu"><ul>{menu}</ul></nav><span id=greeting>Hello</span>
<a class="account-link" href=/account title=Account>Account</a></header>
<main><section id="hero" class=hero><h1>Chairs</h1><p>For you &amp; your home</p></section>
<div id="curated" class=block><h2>Popular</h2></div><ul class=products>
"""
_ITEM = """<li class="card card--{n}"><a href="/p/{n}?a=1&b=2"><img src="/i/{n}.jpg" alt="Chair {n}" width=99 height=99>
<span class="name">Chair number {n} &mdash; café</span> <b class=price>€{n}.90</b></a>
<button type=button data-id="{n}">Add to basket</button></li>
"""
_TAIL = "</ul><div class=upsell><p>More of it</p></div></main><footer><p>The end</p></footer></body></html>\n"
_FRAGMENT = "<div class=mod><h3>For you</h3><ul>" + "<li><a href=/p/1>One more</a></li>" * 30 + "</ul></div>\n"


def page(size: int, token: str = "0" * 32) -> bytes:
    """A page of about ``size`` bytes; ``token`` stands in its head, as those of forms do."""
    menu = "".join(f"<li><a href=/c/{n}>Category {n}</a>" for n in range(40))
    parts, length, number = [_HEAD.format(token=token, menu=menu).encode()], 0, 0
    while length < size - len(parts[0]) - len(_TAIL):
        parts.append(_ITEM.format(n=number).encode())
        length += len(parts[-1])
        number += 1
    return b"".join([*parts, _TAIL.encode()])


def rules(experiences: int = 1, *, expect: str = "one") -> Mapping[str, bytes]:
    """A rules folder; beside the one that fits a loyal visitor, others that do not."""
    names = [f"other-{number}" for number in range(experiences - 1)]
    slots = {
        "menu": "#mega-menu",
        "hero": "#hero",
        "curated": "#curated",
        "body": "body",
        "greeting": "#greeting",
        "account": "a.account-link",
    }
    files = {
        "shop.toml": 'format = 1\ntimezone = "UTC"\nstages = ["known"]\nsegments = ["loyal", "novice"]\n'
        f'without_cookie = "untouched"\norder = {json.dumps([*names, "loyal"])}\n',
        "slots.toml": "\n".join(
            f'[{name}]\nfind = "{find}"\non = ["/**", "!/file/**"]\nexpect = "{expect}"' for name, find in slots.items()
        ),
        "audiences.toml": '[loyal]\nsegment = "loyal"\n[novices]\nsegment = "novice"\n',
        "experiences/loyal.toml": 'for = "loyal"\n'
        '[[edit]]\nslot = "body"\nadd_class = "seg-loyal"\n'
        '[[edit]]\nslot = "menu"\nremove = true\n'
        '[[edit]]\nslot = "hero"\ninner = { html = "<h1>Picked for you</h1>" }\n'
        '[[edit]]\nslot = "curated"\nappend = "more.html"\n'
        '[[edit]]\nslot = "greeting"\ninner = { text = "Welcome back" }\n'
        '[[edit]]\nslot = "account"\nattributes = { href = "/account/rewards" }\n',
        "fragments/more.html": _FRAGMENT,
    }
    for number, name in enumerate(names):
        files[f"experiences/{name}.toml"] = (
            f'for = "novices"\non = ["/c/{number}/**", "/"]\nwhen = {{ device = "mobile" }}\n'
            '[[edit]]\nslot = "hero"\nhide = true\n'
        )
    return {name: text.encode() for name, text in files.items()}


def book(experiences: int = 1) -> RuleBook:
    parsed = parse(rules(experiences), markup=HtmlMarkup(), now=0.0)
    assert parsed.book is not None, "\n".join(map(str, parsed.problems))
    return parsed.book


LOYAL = Visitor("known", ("loyal",), "q7Hk2m", Source.COOKIE)
REQUEST = PageRequest("GET", "https", "shop.example", "/", "", ((b"user-agent", b"Mozilla/5.0"),), 1.78e9)


def decision(made: RuleBook) -> Decision:
    return Decision(tuple(one for one in made.experiences if one.name == "loyal"), (), LOYAL, None, made.version)
