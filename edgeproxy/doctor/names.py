"""Under which names does the shop answer, and where does it send visitors?

Here: checks of redirects, Host and X-Forwarded-Proto, pure.  Called by ``examine``; ``hears_proto`` by ``markup`` too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from edgeproxy.doctor.model import Answer, Finding, Observed, Page, Severity, hostname, page_title, shown, some, target
from edgeproxy.doctor.platforms import Platform, told

MOST_HOPS: Final = 4  # answers of one page, its redirects among them

_FIX, _LOOK, _FINE = Severity.FIX, Severity.LOOK, Severity.FINE


def redirects(seen: Observed, platform: Platform) -> Iterator[Finding]:
    """Each way in which a redirect can go wrong, told once, with the pages that do it."""
    kinds: dict[str, list[tuple[Answer, str]]] = {}
    for page in seen.pages:
        for answer in page.hops:
            if answer.redirect:
                kinds.setdefault(_kind(seen, page, answer), []).append((answer, target(seen.setup, answer)))
    for kind, found in kinds.items():
        said = some([f"{shown(answer.path)} → {shown(where)}" for answer, where in found], 2)
        yield _redirect(kind, said, hostname(urlsplit(found[0][1]).netloc), seen, platform)


def _kind(seen: Observed, page: Page, answer: Answer) -> str:
    setup = seen.setup
    where = target(setup, answer)
    earlier = [setup.public + hop.path for hop in page.hops[: page.hops.index(answer) + 1]]
    parts = urlsplit(where)
    if where in earlier:
        return "circle"
    if len(page.hops) == MOST_HOPS and answer is page.last:
        return "endless"
    if hostname(parts.netloc) == hostname(setup.visitors):
        return "inside" if parts.scheme == setup.scheme and parts.netloc.lower() == setup.visitors else parts.scheme
    return "around" if hostname(parts.netloc) == hostname(setup.authority) else "elsewhere"


def _redirect(kind: str, said: str, where: str, seen: Observed, platform: Platform) -> Finding:
    setup = seen.setup
    proto = told(platform.proto, setup)
    where = shown(where)
    match kind:
        case "circle":
            return Finding(
                _FIX,
                "redirect",
                "Visitors would go round in circles",
                f"{said}, although it was told X-Forwarded-Proto: {setup.scheme} and Host: {_sent_host(seen)}",
                f"the shop believes that it is asked otherwise than visitors ask: {proto}",
            )
        case "endless":
            do = "open the page yourself; each redirect costs visitors a trip, and browsers give up after about twenty"
            return Finding(_FIX, "redirect", f"{MOST_HOPS} redirects, and no page yet", said, do)
        case "https" if setup.host is None:
            return Finding(
                _FIX,
                "redirect",
                "The shop wants https",
                said,
                f"give --host NAME, so that the shop is told what visitors use, and {proto};"
                f" or use https:// in --origin",
            )
        case "http" | "https":
            return Finding(
                _FIX,
                "redirect",
                f"The shop sends visitors to {kind}:// or another port",
                f"{said}, although it was told X-Forwarded-Proto: {setup.scheme}",
                f"visitors use {setup.public}: {proto}",
            )
        case "around":
            do = f"the shop must use the name that it is asked under: {told(platform.links, setup)}"
            return Finding(_FIX, "redirect", "Redirects lead visitors around edgeproxy", said, do)
        case "elsewhere" if setup.host is None:
            do = f"if visitors use {where}, look again with --host {where}"
            return Finding(_FIX, "redirect", f"The shop sends visitors to {where}", said, do)
        case "elsewhere":
            return Finding(
                _FIX,
                "redirect",
                f"The shop sends visitors to {where}",
                said,
                f"if {where} is the shop's main name, let it point at edgeproxy and give serve both:"
                f" --host {hostname(setup.visitors)} --host {where}; else change the shop's own address:"
                f" {told(platform.links, setup)}",
            )
    return Finding(_FINE, "redirect", "Redirects stay on visitors' address", said)


# --------------------------------------------------------------------------- the name


def host(seen: Observed, platform: Platform) -> Iterator[Finding]:
    """Does the shop answer the same under the name that visitors use?"""
    setup, direct = seen.setup, seen.direct
    if setup.host is None:
        yield Finding(
            _LOOK,
            "host",
            "The name that visitors use was not looked at",
            f"the shop was asked as {setup.authority}; once live, it is asked for the name that visitors type",
            "run this again with --host and that name, like --host shop.example",
        )
        return
    if not seen.pages or direct is None or direct.trouble or seen.pages[0].last.trouble:
        return
    first = seen.pages[0].last
    sent = _sent_host(seen)
    ways = f"asked for {sent}: {_summary(first)}; asked for {setup.authority}: {_summary(direct)}"
    if first.status >= 400 and direct.status < 400:
        do = told(platform.hosts, setup)
        do += f"; where it cannot learn the name, serve has --origin-host {setup.authority} (links and forms may then"
        do += " name that one: look again with it)"
        yield Finding(_FIX, "host", f"The shop does not know the name {sent}", ways, do)
    elif first.html and direct.html and page_title(first) != page_title(direct):
        do = "is it the same shop, or another one (or a default page) on the same server? Its virtual host must have"
        yield Finding(_LOOK, "host", f"Under {sent} the shop shows another page", ways, f"{do} this name")
    elif first.status < 300:
        yield Finding(_FINE, "host", f"The shop answers to {sent}", _summary(first))
    if setup.origin_host:
        yield Finding(
            _LOOK,
            "host",
            "The shop is not told the name that visitors use as its Host",
            f"Host: {setup.origin_host}, X-Forwarded-Host: {setup.visitors}",
            "links, cookies and forms' origin checks follow Host in most shops: prefer to let the shop know the name"
            f" ({told(platform.hosts, setup)}), and leave --origin-host out",
        )


def hears_proto(seen: Observed) -> bool | None:
    """Does a shop that has answered believe X-Forwarded-Proto: https?  None where its answers do not show it."""
    first, plain = seen.pages[0].last, seen.plain
    if first.redirect:
        where = target(seen.setup, first)
        if where == seen.setup.public + first.path or where.startswith("http://"):
            return False
    own = seen.setup.visitors.encode()
    if b'"http://' + own in first.body and b'"https://' + own not in first.body:
        return False
    if plain is None or plain.trouble:
        return None
    if plain.redirect.startswith("https://") and first.redirect != plain.redirect:
        return True
    if bool(first.header("strict-transport-security")) != bool(plain.header("strict-transport-security")):
        return True
    if b'"https://' + own in first.body and b'"http://' + own in plain.body:
        return True
    return None


def _sent_host(seen: Observed) -> str:
    return seen.setup.origin_host or seen.setup.visitors


def _summary(answer: Answer) -> str:
    if answer.redirect:
        return f"{answer.status}, to {shown(answer.redirect)}"
    found = page_title(answer)
    return f"{answer.status}, {found}" if found else str(answer.status)
