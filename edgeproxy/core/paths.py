"""Path patterns: which pages a slot, an experience or a rule is about.

Here: the pattern language of rule files and the two forms of a path.  Not here: what a match is used for.
Called by the rule parser (compile once) and by ``decide``, ``policy`` (match per request).

A path has two forms.  The *raw* one is what came on the wire before ``?``.  The *resolved* one is what a careless
shop would read in it: percent-decoded, doubled slashes and dot segments removed.  ``on`` wants a path that means the
page both ways; what must never happen on a page must not happen when either form is that page.

No visitor can make a match slow: patterns are matched segment by segment, in time linear in the path for each
segment of the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from urllib.parse import quote, unquote_to_bytes

_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_HIGH = re.compile("[^\x00-\x7f]")
_ANY_DEPTH = "**"
_MOST_INNER_STARS = 3


class PatternError(ValueError):
    """A path pattern that cannot mean anything; ``pattern`` is the text, ``what`` and ``hint`` are for people."""

    def __init__(self, pattern: str, what: str, hint: str = "") -> None:
        super().__init__(f'pattern "{pattern}": {what}' + (f" ({hint})" if hint else ""))
        self.pattern = pattern
        self.what = what
        self.hint = hint


def resolved(path: str) -> str:
    """A raw path (one character a byte) as a careless shop reads it: decoded, ``//``, ``/./`` and ``/../`` resolved.

    Decoded once, then slashes merged, then dot segments removed as RFC 3986, 5.2.4 does; a path always begins with
    ``/``.  Broken escapes stay as they are.
    """
    text = unquote_to_bytes(path.encode("latin-1", "replace")).decode("latin-1") if "%" in path else path
    if "//" not in text and "/." not in text and text.startswith("/"):
        return text
    kept: list[str] = []
    parts = [part for part in text.split("/") if part]
    for part in parts:
        if part == "..":
            if kept:
                kept.pop()
        elif part != ".":
            kept.append(part)
    slash = "/" if kept and (text.endswith("/") or parts[-1] in {".", ".."}) else ""
    return "/" + "/".join(kept) + slash


def _as_sent(path: str) -> str:
    """The raw path with the two spellings that mean one byte made one: ``%c3`` → ``%C3``, a bare byte → ``%C3``."""
    if "%" in path:
        path = _ESCAPE.sub(lambda found: found[0].upper(), path)
    if not path.isascii():
        path = _HIGH.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", path)
    return path


# --------------------------------------------------------------------------- one set of patterns, one form of a path


@dataclass(frozen=True, slots=True)
class _Segment:
    """One segment of a pattern with ``*`` in it."""

    test: re.Pattern[str]

    @classmethod
    def of(cls, text: str) -> _Segment:
        # Each run of text is taken where it stands first, for good (an atomic group): the earliest place leaves most
        # room for the rest, so nothing needs to be tried twice, and a hostile path costs no more than its length.
        head, *middle, tail = (re.escape(run) for run in re.split(r"\*+", text))
        return cls(re.compile(head + "".join(f"(?>.*?{run})" for run in middle) + f".*{tail}", re.DOTALL))


_Part = str | _Segment  # "**", a literal segment, or one with stars


def _fits(parts: Sequence[_Part], path: Sequence[str]) -> bool:
    """The segments of a path against those of a pattern, where ``**`` stands for any number of them."""
    at = here = 0
    star = back = -1
    while here < len(path):
        part = parts[at] if at < len(parts) else None
        if part == _ANY_DEPTH:
            star, back = at, here
            at += 1
        elif part is not None and (part == path[here] if isinstance(part, str) else part.test.fullmatch(path[here])):
            at += 1
            here += 1
        elif star >= 0:  # let the last ** take one segment more: earlier ones never need to
            back += 1
            at, here = star + 1, back
        else:
            return False
    return all(part == _ANY_DEPTH for part in parts[at:])


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Patterns for one form of the path; the usual shapes (``/a/b``, ``/a/**``) are looked up, not tried in turn."""

    exact: frozenset[str]
    below: tuple[str, ...]  # "/c/" for /c/**
    globs: tuple[tuple[_Part, ...], ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> _Patterns:
        exact: set[str] = set()
        below: list[str] = []
        globs: list[tuple[_Part, ...]] = []
        for text in texts:
            if "*" not in text:
                exact.add(text)
            elif text.endswith("/**") and "*" not in text[:-3]:
                below.append(text[:-2])
                if text != "/**":
                    exact.add(text[:-3])
            else:
                globs.extend(_parts(text))
        return cls(frozenset(exact), tuple(below), tuple(globs))

    def match(self, path: str) -> bool:
        if path in self.exact or (self.below and path.startswith(self.below)):
            return True
        if not self.globs:
            return False
        segments = path.split("/")
        return any(_fits(parts, segments) for parts in self.globs)


def _parts(text: str) -> Iterator[tuple[_Part, ...]]:
    """A pattern as segments; ``a**b`` inside one means ``a*b``, or ``a*`` and, any depth further down, ``*b``."""
    yield from (tuple(part for parts in way for part in parts) for way in product(*map(_ways, text.split("/"))))


def _ways(segment: str) -> Iterator[tuple[_Part, ...]]:
    if segment == _ANY_DEPTH:
        yield (segment,)
        return
    first, *rest = segment.split(_ANY_DEPTH)
    for crossings in product((False, True), repeat=len(rest)):
        runs: list[str] = [first]
        for run, crosses in zip(rest, crossings, strict=True):
            if crosses:
                runs[-1] += "*"
                runs += [_ANY_DEPTH, f"*{run}"]
            else:
                runs[-1] += f"*{run}"
        yield tuple(_part(run) for run in runs)


def _part(segment: str) -> _Part:
    return _Segment.of(segment) if "*" in segment and segment != _ANY_DEPTH else segment


# --------------------------------------------------------------------------- the set that rules hold


@dataclass(frozen=True, slots=True)
class PathSet:
    """Path patterns, ready to match (``model.Paths``); two sets are equal when their texts are.

    ``texts`` are the patterns as written, ``!`` ones among them.
    """

    texts: tuple[str, ...]
    _raw: tuple[_Patterns, _Patterns] = field(compare=False, repr=False)  # (included, excluded)
    _resolved: tuple[_Patterns, _Patterns] = field(compare=False, repr=False)

    def match(self, path: str) -> bool:
        """For ``on`` and cache rules: both forms of the path are meant, and neither is excluded."""
        raw = _as_sent(path)
        plain = resolved(path)
        return (
            self._raw[0].match(raw)
            and self._resolved[0].match(plain)
            and not self._raw[1].match(raw)
            and not self._resolved[1].match(plain)
        )

    def touches(self, path: str) -> bool:
        """For ``never``: either form of the path is meant (and that same form is not excluded)."""
        raw = _as_sent(path)
        if self._raw[0].match(raw) and not self._raw[1].match(raw):
            return True
        plain = resolved(path)
        return self._resolved[0].match(plain) and not self._resolved[1].match(plain)


def compile_paths(patterns: Sequence[str]) -> PathSet:
    """Patterns as rule files write them → a set that matches.

    ``*`` stays within one segment, ``**`` is any depth (``/c/**`` includes ``/c`` and ``/c/``), ``!`` excludes and
    wins; a list of exclusions alone means every other page.  A pattern is the path as browsers send it; letters
    beyond ASCII may be written plainly.  Raises PatternError, which names the pattern.
    """
    included = [check(text) for text in patterns if not text.startswith("!")]
    excluded = [check(text[1:], text) for text in patterns if text.startswith("!")]
    if excluded and not included:
        included = ["/**"]
    return PathSet(
        tuple(patterns),
        (_Patterns.of(map(_sent, included)), _Patterns.of(map(_sent, excluded))),
        (_Patterns.of(map(_plain, included)), _Patterns.of(map(_plain, excluded))),
    )


def check(pattern: str, written: str | None = None) -> str:
    """The pattern itself when it can match something.  Raises PatternError, which names it as ``written``."""
    written = pattern if written is None else written
    if not pattern.startswith("/"):
        bare = _ADDRESS.sub("", pattern).lstrip("/")  # an address that was copied from the browser
        hint = f'did you mean "{written[: len(written) - len(pattern)]}/{bare}"?' if pattern.strip() else ""
        raise PatternError(written, "a path begins with /", hint)
    for mark, name in (("?", "query"), ("#", "fragment")):
        if mark in pattern:
            hint = f'leave out "{mark}" and what follows' + (
                "; a query is asked for with when = { query = … }" if mark == "?" else ""
            )
            raise PatternError(written, f"a pattern is matched against the path alone, without a {name}", hint)
    if any(character.isspace() or not character.isprintable() for character in pattern):
        raise PatternError(written, "a path holds no spaces or control characters", "a space is sent as %20")
    if "***" in pattern:
        raise PatternError(written, "three stars mean nothing", "* stays within one segment, ** is any depth")
    plain = _plain(pattern)
    if "//" in plain or any(part in {".", ".."} for part in plain.split("/")):
        raise PatternError(written, "never matches: paths are also read without dot segments and doubled slashes")
    if plain.count("*") != pattern.count("*"):
        raise PatternError(written, "a star itself cannot be matched", "* stands for anything within one segment")
    inner = sum(part.count(_ANY_DEPTH) for part in pattern.split("/") if part != _ANY_DEPTH)
    if inner > _MOST_INNER_STARS:
        raise PatternError(written, f"more than {_MOST_INNER_STARS} times ** inside a segment", "use * or /**/")
    return pattern


def _sent(pattern: str) -> str:
    """The pattern as it looks on the wire: letters beyond ASCII as UTF-8 in percent escapes (RFC 3987, 3.1)."""
    return _ESCAPE.sub(lambda found: found[0].upper(), _HIGH.sub(lambda found: quote(found[0]), pattern))


def _plain(pattern: str) -> str:
    """The pattern as it looks in a resolved path, one character a byte."""
    return unquote_to_bytes(_sent(pattern)).decode("latin-1")
