"""Changing single attributes of one start tag, and not a byte beside them.

Here: what several edits of one start tag come to, and the splices that do it.  Not here: which edits there are
(``edits``) and who wins (``place``).  Called by ``draft``.  The tag is read one character a byte, so that every
charset whose ASCII is ASCII keeps its bytes; values are decoded only where they are compared.

Existing names, quoting and spacing stay.  An unquoted value stays unquoted where the new one may be; new
attributes stand before ``>`` or ``/>``, in double quotes.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from edgeproxy.html import scan
from edgeproxy.html.model import Charset, Splice

HIDDEN_STYLE: Final = "display:none!important"

_UNQUOTED_FITS: Final = re.compile(r"[^\s\"'=<>`\x00-\x1f]+")
_HIDES: Final = re.compile(r"display\s*:\s*none\s*!\s*important", re.IGNORECASE)
_OPEN_REFERENCE: Final = re.compile(r"&#?[0-9A-Za-z]*\Z")
_REFERENCE_END: Final = re.compile(r"&#?[0-9A-Za-z]+;\Z")
_SPACES: Final = re.compile(r"[\t\n\f\r ]+")  # ASCII's alone: 0xA0 is half a letter in UTF-8
_SPACE: Final = "\t\n\f\r "


@dataclass(slots=True)
class TagChanges:
    """What is to become of one start tag; filled edit by edit, the experience that comes first wins.

    ``attributes`` maps the lower-case name to (name as written, value): a string, True for an attribute without
    value, False for none.  ``classes`` maps a class to whether it is added.  ``owners`` says which experience
    decided "class x" or attribute "x".
    """

    attributes: dict[str, tuple[str, str | bool]] = field(default_factory=dict)
    classes: dict[str, bool] = field(default_factory=dict)
    hide: bool = False
    inline_style: bool = True  # the page's policy allows a style attribute
    owners: dict[str, str] = field(default_factory=dict)

    def copy(self) -> TagChanges:
        """Another one of the same state."""
        return replace(self, attributes=dict(self.attributes), classes=dict(self.classes), owners=dict(self.owners))

    def set_attribute(self, experience: str, name: str, value: str | bool) -> str:
        """Returns the experience that decided this attribute before, "" when it is ours."""
        return self._claim(name.lower(), experience) or self._note(name, value)

    def set_class(self, experience: str, name: str, add: bool) -> str:
        """Returns the experience that decided about this class before, "" when it is ours."""
        owner = self._claim(f"class {name}", experience)
        if not owner:
            self.classes.pop(name, None)
            self.classes[name] = add
        return owner

    def set_hidden(self, experience: str, inline_style: bool) -> str:
        """Hide the element: returns the experience that decided about ``hidden`` before, "" when it is ours."""
        owner = self.set_attribute(experience, "hidden", True)
        if not owner:
            self.hide, self.inline_style = True, inline_style
        return owner

    def _claim(self, what: str, experience: str) -> str:
        owner = self.owners.setdefault(what, experience)
        return "" if owner == experience else owner

    def _note(self, name: str, value: str | bool) -> str:
        self.attributes[name.lower()] = (name, value)
        return ""


@lru_cache(maxsize=512)
def _remembered(source: str) -> scan.Token | None:
    return scan.start_tag(source)


def _token(source: str) -> scan.Token | None:
    """The tag's parts; short ones are remembered, for a theme has the same few on all its pages."""
    return _remembered(source) if len(source) <= 2048 else scan.start_tag(source)


def malformed(tag: bytes) -> bool:
    """Whether a start tag is too odd to be changed byte by byte."""
    token = _token(tag.decode("latin-1"))
    if token is None or not token.finished or token.end != len(tag):
        return True
    return any(attribute.name.startswith("=") for attribute in token.attributes)


def rewrite(body: bytes, start: int, end: int, changes: TagChanges, charset: Charset) -> list[Splice]:
    """The splices that change the start tag ``body[start:end]``, sorted; none for what is so already."""
    source = body[start:end].decode("latin-1")
    token = _token(source)
    if token is None:
        return []
    first: dict[str, scan.Attribute] = {}
    for attribute in token.attributes:
        first.setdefault(attribute.name, attribute)
    splices: list[Splice] = []
    added: list[str] = []
    for label, (name, wanted) in _wanted(source, first, changes, charset).items():
        old = first.get(label)
        if wanted is False:
            splices += [_cut(source, token, a, start) for a in token.attributes if a.name == label]
        elif old is None:
            added.append(f" {name}" if wanted is True else f' {name}="{wanted}"')
        elif source[old.value_start : old.value_end] != ("" if wanted is True else wanted):
            text = _written(source, old, "" if wanted is True else str(wanted))
            splices.append(Splice(start + old.start, start + old.end, text.encode("latin-1")))
    if added:
        at = start + _room(source, token)
        splices.append(Splice(at, at, "".join(added).encode("latin-1")))
    # a removed last attribute and an added one meet at one offset: the cut ends where the insertion stands
    return sorted(splices, key=lambda splice: (splice.start, splice.end))


def _wanted(
    source: str, first: Mapping[str, scan.Attribute], changes: TagChanges, charset: Charset
) -> dict[str, tuple[str, str | bool]]:
    """Attribute by attribute what shall stand there, written for double quotes in the page's charset.

    Values are raw source (references unresolved) in the one-character-a-byte view; one that is to stay as it is
    comes back as it is.
    """

    def current(label: str) -> str | None:
        if label in wanted:
            value = wanted[label][1]
            return None if value is False else "" if value is True else str(value)
        old = first.get(label)
        return None if old is None else source[old.value_start : old.value_end]

    wanted: dict[str, tuple[str, str | bool]] = {}
    for label, (name, value) in changes.attributes.items():
        if isinstance(value, str):
            old = first.get(label)
            same = old is not None and _read(source[old.value_start : old.value_end], charset) == value
            wanted[label] = (name, current(label) or "") if same else (name, _raw(value, charset))
        else:
            wanted[label] = (name, value)
    if changes.classes:
        before = current("class")
        after = _classes(before or "", changes.classes, charset)
        if after != (before or ""):
            wanted["class"] = ("class", after)
    if changes.hide and changes.inline_style:
        wanted["style"] = ("style", _hidden(current("style") or "", charset))
    return wanted


def _classes(raw: str, changes: Mapping[str, bool], charset: Charset) -> str:
    """A raw class attribute with classes taken out and put at its end."""
    tokens = [token for token in _SPACES.split(raw) if token]
    have = {_read(token, charset) for token in tokens}
    gone = {name for name, add in changes.items() if not add}
    if gone & have:
        raw = " ".join(token for token in tokens if _read(token, charset) not in gone)
    new = [_raw(name, charset) for name, add in changes.items() if add and name not in have]
    return " ".join([raw.rstrip(_SPACE), *new]).strip(_SPACE) if new else raw


def _hidden(raw: str, charset: Charset) -> str:
    """A raw style attribute that hides.  Behind what stands there, so that it wins; before it where something is
    left open there (a comment, a string, a bracket), which would swallow it."""
    value = _read(raw, charset)
    if _HIDES.search(value):
        return raw
    if _left_open(value):
        return f"{HIDDEN_STYLE};{raw}"
    kept = raw.rstrip(_SPACE)
    if not _REFERENCE_END.search(kept):
        kept = kept.rstrip(_SPACE + ";")
    # behind "&lt" our semicolon would end a reference
    return f"{kept}{' ' if _OPEN_REFERENCE.search(kept) else ''};{HIDDEN_STYLE}" if kept else HIDDEN_STYLE


def _left_open(css: str) -> bool:
    rest = re.sub(r"/\*.*?\*/|\\.|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", "", css, flags=re.DOTALL)
    return (
        any(c in rest for c in "\"'\\")
        or "/*" in rest
        or any(rest.count(a) != rest.count(b) for a, b in ("()", "[]", "{}"))
    )


def _written(source: str, old: scan.Attribute, value: str) -> str:
    """An existing attribute with another value, which is safe in the quotation mark that is there."""
    name = source[old.start : old.start + len(old.name)]
    if old.quote:
        return source[old.start : old.value_start] + value + old.quote
    if old.quote == "" and _UNQUOTED_FITS.fullmatch(value):
        return source[old.start : old.value_start] + value
    return f'{name}="{value.replace(chr(34), "&quot;")}"'  # what stood there without quotes may hold some


def _cut(source: str, token: scan.Token, gone: scan.Attribute, offset: int) -> Splice:
    """Take one attribute out, with the space before it where nothing leans on that space."""
    before = max((a.end for a in token.attributes if a.end <= gone.start), default=1 + len(token.name))
    gap = source[before : gone.start]
    if "/" in gap:  # <g/fill=x> must not become the self-closing <g/>
        return Splice(offset + gone.start, offset + gone.end, b" ")
    leans = source[gone.end] not in _SPACE + ">/"  # href="x"title="y"
    return Splice(offset + (gone.start if leans else before), offset + gone.end, b"")


def _room(source: str, token: scan.Token) -> int:
    """Where new attributes go: before ``>`` or ``/>`` and the spaces there."""
    at = token.end - (2 if token.self_closing else 1)
    while source[at - 1] in _SPACE:
        at -= 1
    # "href=" without a value would take what follows for its value
    return at if source[at - 1] != "=" else 1 + len(token.name)


def _raw(value: str, charset: Charset) -> str:
    """A value as attribute source, safe in both quotation marks, in the one-character-a-byte view."""
    return html.escape(value, quote=True).encode(charset.codec, "xmlcharrefreplace").decode("latin-1")


def _read(raw: str, charset: Charset) -> str:
    return html.unescape(raw.encode("latin-1").decode(charset.codec, "replace"))
