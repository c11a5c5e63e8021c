"""Conditions about the request: what this browser sent.  They stand in an experience's ``when``.

Nothing here believes more than it should: all of it but ``country`` is the visitor's own word, good for courtesy and
not for access.  A visitor can send anything; a value that means nothing is an unknown fact, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar
from urllib.parse import unquote_plus, urlsplit

from edgeproxy.core.conditions import shapes
from edgeproxy.core.conditions.registry import About, Labels, condition
from edgeproxy.core.model import Condition, Facts, PageRequest, Reasons
from edgeproxy.core.rules.sheet import Spot
from edgeproxy.core.words import either, meant, quoted

_DEVICES = ("mobile", "desktop")


@condition
@dataclass(frozen=True, slots=True)
class Device:
    """Mobile or desktop: ``Sec-CH-UA-Mobile``, else "Mobi" in the user agent means mobile, else desktop."""

    key: ClassVar[str] = "device"
    about: ClassVar[About] = "request"
    help: ClassVar[str] = 'the browser says that it is on a "mobile" device, or else a "desktop"'

    wanted: str

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return {"enum": list(_DEVICES)}

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        if isinstance(value, str) and value in _DEVICES:
            return cls(value)
        word = f'"{value}"' if isinstance(value, str) else "that"
        hint = meant(value, _DEVICES) if isinstance(value, str) else ""
        spot.tell(f"device wants {either(quoted(_DEVICES))}, not {word}", hint)
        return None

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        device = device_of(facts.request)
        if reasons is not None:
            reasons.append(f"device is {device}" + ("" if device == self.wanted else f", wanted {self.wanted}"))
        return device == self.wanted

    def facts(self) -> frozenset[str]:
        return frozenset({"device"})


def device_of(request: PageRequest) -> str:
    """ "mobile" or "desktop"."""
    hint = (request.header(b"sec-ch-ua-mobile") or "").strip()
    if hint in {"?1", "?0"}:  # a boolean of RFC 9651, 3.3.6; anything else says nothing
        return _DEVICES[hint == "?0"]
    return _DEVICES["Mobi" not in (request.header(b"user-agent") or "")]


@condition
@dataclass(frozen=True, slots=True)
class Query:
    """Parameters of the request, ours excluded: ``{ color = "red", sale = true, q = false }``."""

    key: ClassVar[str] = "query"
    about: ClassVar[About] = "request"
    help: ClassVar[str] = "parameters of the address: a value or a list of values, true (is there) or false (is not)"

    wanted: tuple[tuple[str, tuple[str, ...] | bool], ...]

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"minLength": 1},
            "additionalProperties": {"anyOf": [*shapes.STRING_OR_STRINGS, {"type": "boolean"}]},
        }

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        if not isinstance(value, Mapping) or not value or "" in value:
            spot.tell("query wants a table of parameters", 'such as query = { color = "red" }')
            return None
        wanted: list[tuple[str, tuple[str, ...] | bool]] = []
        for name, one in value.items():
            read = one if isinstance(one, bool) else shapes.strings(one, spot.at(name), ", true or false")
            if read is not None:
                wanted.append((name, read))
        return cls(tuple(wanted)) if len(wanted) == len(value) else None

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        sent = parameters(facts.request.query)
        judged = [_parameter(name, wanted, sent.get(name, ())) for name, wanted in self.wanted]
        held = all(one for one, _ in judged)
        if reasons is not None:
            reasons.extend(said for one, said in judged if one is held)
        return held

    def facts(self) -> frozenset[str]:
        return frozenset(f"query.{name}" for name, _ in self.wanted)


def _parameter(name: str, wanted: tuple[str, ...] | bool, sent: Sequence[str]) -> tuple[bool, str]:
    has = f"?{name} is {either(quoted(sent[:3]))}" if sent else f"?{name} is not there"
    if isinstance(wanted, bool):
        held = bool(sent) is wanted
        return held, has if held else has + (", wanted it" if wanted else ", wanted without")
    held = any(one in wanted for one in sent)
    return held, has if held else f"{has}, wanted {either(quoted(wanted))}"


@lru_cache(maxsize=2)  # the conditions of one request ask in turn; keeping more would let visitors fill memory
def parameters(query: str) -> Mapping[str, Sequence[str]]:
    """A raw query → its parameters, decoded as forms are (WHATWG URL, 5.1); bytes that are no UTF-8 become �."""
    found: dict[str, list[str]] = {}
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return found


@condition
@dataclass(frozen=True, slots=True)
class CameFrom:
    """Where the visitor came from: the Referer's host when it is not the shop's own, or ``utm_source``."""

    key: ClassVar[str] = "came_from"
    about: ClassVar[About] = "request"
    help: ClassVar[str] = "the host of the page that links here (its subdomains too), or the parameter utm_source"

    wanted: tuple[str, ...]

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return shapes.ONE_OR_MORE

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        wanted = shapes.strings(value, spot)
        if wanted is None:
            return None
        for index, one in enumerate(wanted):
            if "/" in one or ":" in one:
                place = spot.at(index) if isinstance(value, list) else spot
                host = _host(one)
                place.tell(f'came_from wants a host, not "{one}"', f'did you mean "{host}"?' if host else "")
                return None
        return cls(tuple(dict.fromkeys(form for one in wanted for form in (one.casefold(), as_sent(one)))))

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        host = referring_host(facts.request)
        own = host is not None and host == _host(f"//{facts.request.host}")
        tags = parameters(facts.request.query).get("utm_source", ())
        names = [*([] if own or host is None else [host]), *(tag.casefold() for tag in tags if tag)]
        held = None if host is None and not names else any(_is_from(name, one) for name in names for one in self.wanted)
        if reasons is not None:
            has = (
                f"came from {either(names[:3])}"
                if names
                else ("came from a page of the shop itself" if own else "where the visitor came from is unknown")
            )
            reasons.append(has if held else f"{has}, wanted {either(self.wanted)}")
        return held

    def facts(self) -> frozenset[str]:
        return frozenset({"came_from"})


def referring_host(request: PageRequest) -> str | None:
    """The host of the page that links here, the shop's own too; None where the browser does not tell."""
    referer = request.header(b"referer")
    return _host(referer) if referer else None


def _host(url: str) -> str | None:
    """The host of an address, without port, lower-case, as browsers send it; None where there is none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".") or None
    except ValueError:  # "http://[" and the like
        return None


def as_sent(host: str) -> str:
    """A host with letters beyond ASCII as browsers send it (``xn--…``); what is no host stays as it is."""
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return host.casefold()


def _is_from(name: str, wanted: str) -> bool:
    return name == wanted or name.endswith(f".{wanted}")


# --------------------------------------------------------------------------- language

_TAG = re.compile("[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")  # RFC 4647, 2.1: language-range, less "*"
_RANGE = re.compile(rf"\s*(\*|{_TAG.pattern})\s*(?:;\s*[qQ]\s*=\s*(0(?:\.[0-9]{{0,3}})?|1(?:\.0{{0,3}})?)\s*)?")
_CODE = re.compile("[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")  # RFC 5646, 2.2.1: no language has more letters, or one
_TAG_SCHEMA = {"type": "string", "pattern": f"^{_CODE.pattern}$"}


@condition
@dataclass(frozen=True, slots=True)
class Language:
    """The visitor's first language (the best of Accept-Language) is one of these."""

    key: ClassVar[str] = "language"
    about: ClassVar[About] = "request"
    help: ClassVar[str] = 'the language that the browser asks for first is this one, or one of a list ("sv", "pt-BR")'

    wanted: tuple[str, ...]

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return {"anyOf": [_TAG_SCHEMA, {"type": "array", "items": _TAG_SCHEMA, "minItems": 1}]}

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        wanted = shapes.strings(value, spot)
        for index, one in enumerate(wanted or ()):
            if not _CODE.fullmatch(one):
                place = spot.at(index) if isinstance(value, list) else spot
                place.tell(f'"{one}" is not a language', 'write its code: "sv", "en", "pt-BR"')
                wanted = None
        return None if wanted is None else cls(wanted)

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        best = language_of(facts.request)
        held = None if best is None else any(_speaks(best, one) for one in self.wanted)
        if reasons is not None:
            has = "language is unknown" if best is None else f"language is {best}"
            reasons.append(has if held else f"{has}, wanted {either(self.wanted)}")
        return held

    def facts(self) -> frozenset[str]:
        return frozenset({"language"})


def language_of(request: PageRequest) -> str | None:
    """The range of Accept-Language with the highest weight, the first of equals (RFC 9110, 12.5.4); None: unknown.

    "*" and a header that cannot be read are no language; a weight of 0 is one that the visitor does not want.
    """
    best: tuple[float, str] | None = None
    for item in (request.header(b"accept-language") or "").split(","):
        if found := _RANGE.fullmatch(item):
            weight = float(found[2]) if found[2] else 1.0
            if weight > 0 and (best is None or weight > best[0]):
                best = weight, found[1]
    return None if best is None or best[1] == "*" else best[1]


def _speaks(asked: str, listed: str) -> bool:
    """ "en-GB" is served by "en" (RFC 4647, 3.4: lookup), "en" by "en-US" (3.3.1: basic filtering)."""
    asked, listed = asked.lower(), listed.lower()
    return asked == listed or asked.startswith(f"{listed}-") or listed.startswith(f"{asked}-")


# --------------------------------------------------------------------------- country

_COUNTRY = re.compile("[A-Za-z][A-Za-z0-9]")
_NOWHERE = {"XX", "ZZ"}  # what geolocating proxies send when they do not know


@condition
@dataclass(frozen=True, slots=True)
class Country:
    """The country that a trusted proxy's header names (``--country-header``) is one of these."""

    key: ClassVar[str] = "country"
    about: ClassVar[About] = "request"
    help: ClassVar[str] = 'the country that the proxy in front names is this one, or one of a list ("SE", "NO")'

    wanted: tuple[str, ...]

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        code = {"type": "string", "pattern": f"^{_COUNTRY.pattern}$"}
        return {"anyOf": [code, {"type": "array", "items": code, "minItems": 1}]}

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        wanted = shapes.strings(value, spot)
        for index, one in enumerate(wanted or ()):
            if not _COUNTRY.fullmatch(one):
                place = spot.at(index) if isinstance(value, list) else spot
                place.tell(f'"{one}" is not a country', 'write its two letters: "SE"')
                wanted = None
        return None if wanted is None else cls(tuple(one.upper() for one in wanted))

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        country = (facts.request.country or "").strip().upper()
        held = country in self.wanted if country and country not in _NOWHERE else None
        if reasons is not None:
            has = "country is unknown" if held is None else f"country is {country}"
            reasons.append(has if held else f"{has}, wanted {either(self.wanted)}")
        return held

    def facts(self) -> frozenset[str]:
        return frozenset({"country"})
