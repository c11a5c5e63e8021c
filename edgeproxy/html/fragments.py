"""Fragments: the HTML that operators write, with its few placeholders.

Here: reading (``read``, ``read_text``, ``read_page``: source → parts and mistakes), filling (``fill``) and turning into
a page's bytes (``encode``).  Not here: well-formedness (``wellformed``) and the place on a page (``context``).  Called
by ``checks`` when rules are loaded and by ``place`` for every page.

Placeholders are ``{{ segment }}``, ``{{ stage }}``, ``{{ path }}`` and ``{{ nonce }}``; a literal ``{{`` is written
``{{ "{{" }}``; anything else between braces is a mistake.  They may stand in text and in quoted attributes that are
no address, no event handler and no style, since values there could do more than be shown; the nonce only as the
whole value of ``nonce``.  Values are escaped for where they stand; what they say is never trusted (a path is
whatever the visitor asked for).
"""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edgeproxy.core.markup import MarkupProblem, Parts
from edgeproxy.core.model import Piece
from edgeproxy.html import scan, wellformed
from edgeproxy.html.model import Charset
from edgeproxy.html.scan import Attribute, Kind, Token
from edgeproxy.html.wellformed import Mistake

PLACEHOLDERS: Final = ("segment", "stage", "path", "nonce")

_BRACES: Final = re.compile(r"\{\{")
_PLACEHOLDER: Final = re.compile(r"\{\{[ \t]*(?:([a-z_]+)|(\"\{\{\"|'\{\{'))[ \t]*\}\}")
_LOOSE: Final = re.compile(r"\{\{([^{}\n]{0,60})\}\}")

_ADDRESSES: Final = frozenset(
    {"href", "src", "srcset", "action", "formaction", "poster", "data", "cite", "background", "ping", "manifest"}
    | {"longdesc", "codebase", "classid", "archive", "profile", "usemap", "imagesrcset", "icon", "srcdoc", "base"}
    | {"xlink:href", "xml:base", "attributionsrc", "dynsrc", "lowsrc", "code", "object"}
    | {"from", "to", "by", "values"}  # of SVG animations, which can animate an href
    | {"content", "http-equiv"}  # of meta: a refresh is an address
)
_CODE: Final = ("on", "@", ":", "v-", "x-", "ng-", "hx-", "data-ng-", "data-on")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class _Found:
    """A placeholder or a literal ``{{`` in the source."""

    start: int
    end: int
    name: str  # "" for the literal


def read(source: str) -> tuple[Parts, tuple[MarkupProblem, ...]]:
    """A fragment's HTML → its parts and every mistake; parts are () when there is a mistake."""
    source = source.removeprefix("\ufeff")
    found, mistakes = _placeholders(source)
    masked = _masked(source, found)
    mistakes += wellformed.mistakes(masked)
    parts: list[str | Piece] = []
    at = 0
    tokens = list(scan.tokens(masked))
    for one in found:
        parts.append(source[at : one.start])
        at = one.end
        if not one.name:
            parts.append("{{")
            continue
        context, mistake = _context(one, tokens)
        if mistake is not None:
            mistakes.append(mistake)
        parts.append(Piece(one.name, context))
    parts.append(source[at:])
    if mistakes:
        return (), _told(source, mistakes)
    return _joined(parts), ()


def read_text(source: str) -> tuple[Parts, tuple[MarkupProblem, ...]]:
    """``{ text = "…" }`` → its parts, escaped, and every mistake; the same placeholders but the nonce."""
    found, mistakes = _placeholders(source)
    parts: list[str | Piece] = []
    at = 0
    for one in found:
        parts.append(_escape(source[at : one.start]))
        at = one.end
        if one.name == "nonce":
            mistakes.append(Mistake(one.start, "{{ nonce }} may only be the value of a nonce attribute"))
        parts.append(Piece(one.name, "text") if one.name else "{{")
    parts.append(_escape(source[at:]))
    mistakes += [Mistake(m.start(), "a control character", "leave it out") for m in _CONTROLS.finditer(source)]
    if mistakes:
        return (), _told(source, mistakes)
    return _joined(parts), ()


def read_page(source: str, names: Sequence[str]) -> tuple[Parts, tuple[MarkupProblem, ...]]:
    """A whole page of the operator's with these placeholders → its parts and every mistake; it is inserted nowhere,
    so that only what would swallow the rest of it is wrong in its HTML.
    """
    source = source.removeprefix("\ufeff")
    found, mistakes = _placeholders(source, names)
    if not source.strip():
        mistakes.append(Mistake(0, "the page is empty", "leave the file out for edgeproxy's own"))
    tokens = list(scan.tokens(_masked(source, found)))
    hint = "the rest of the page is part of it"
    mistakes += [Mistake(one.start, "what begins here is not closed", hint) for one in tokens if not one.finished]
    parts: list[str | Piece] = []
    at = 0
    for one in found:
        parts.append(source[at : one.start])
        at = one.end
        context, mistake = _context(one, tokens) if one.name else ("", None)
        if mistake is not None:
            mistakes.append(mistake)
        parts.append(Piece(one.name, context) if one.name else "{{")
    parts.append(source[at:])
    if mistakes:
        return (), _told(source, mistakes)
    return _joined(parts), ()


def fill(parts: Parts, values: Mapping[str, str]) -> str:
    """The fragment with its values, escaped; a name without a value gives nothing."""
    return "".join(part if isinstance(part, str) else _value(values.get(part.name, "")) for part in parts)


def missing(parts: Parts, values: Mapping[str, str]) -> str:
    """The first placeholder in text that has no value for this visitor: half a sentence is worse than none."""
    for part in parts:
        if isinstance(part, Piece) and part.context == "text" and not values.get(part.name):
            return part.name
    return ""


def outline(parts: Parts) -> str:
    """The fragment with a letter for every placeholder: the same tree whatever the values."""
    return "".join(part if isinstance(part, str) else "x" for part in parts)


def unescaped(markup: str) -> str:
    """The text again that ``read_text`` and ``fill`` escaped: for raw text, which knows no references."""
    return html.unescape(markup)


def encode(markup: str, charset: Charset) -> tuple[bytes, str]:
    """Markup in the page's charset → (bytes, "") or (b"", why not).

    Characters that the charset lacks become numeric character references, which mean the same in text and in
    attributes; in raw text (a script, a style) and in names they would not, so there they are a reason to refuse.
    """
    try:
        return markup.encode(charset.codec), ""
    except UnicodeEncodeError:
        pass
    for token in scan.tokens(markup):
        names = token.kind in (Kind.START, Kind.END) and _names(markup, token)
        text = markup[token.start : token.end] if token.kind is Kind.RAW and token.name not in scan.RCDATA else names
        lacking = _lacking(text, charset) if text else ""
        if lacking:
            where = f"inside <{token.name}>" if token.kind is Kind.RAW else "in the name of a tag or an attribute"
            return b"", f'the page\'s charset {charset.label} has no "{lacking}", and {where} it cannot be referred to'
    return markup.encode(charset.codec, "xmlcharrefreplace"), ""


def encode_css(css: str, charset: Charset) -> bytes:
    """CSS in the page's charset; characters that it lacks become CSS escapes (CSS Syntax 3, 4.3.7)."""
    if not _lacking(css, charset):
        return css.encode(charset.codec)
    return "".join(c if not _lacking(c, charset) else f"\\{ord(c):x} " for c in css).encode(charset.codec)


# --------------------------------------------------------------------------- reading


def _placeholders(source: str, names: Sequence[str] = PLACEHOLDERS) -> tuple[list[_Found], list[Mistake]]:
    found: list[_Found] = []
    mistakes: list[Mistake] = []
    at = 0
    while brace := _BRACES.search(source, at):
        start = brace.start()
        match = _PLACEHOLDER.match(source, start)
        if match and (match.group(2) or match.group(1) in names):
            found.append(_Found(start, match.end(), match.group(1) or ""))
            at = match.end()
            continue
        loose = _LOOSE.match(source, start)
        literal = 'for a literal "{{" write {{ "{{" }}'
        if loose is None:
            mistakes.append(Mistake(start, '"{{" begins no placeholder', literal))
        else:
            name = loose.group(1).strip()
            near = difflib.get_close_matches(name.lower(), names, 1)
            hint = f"did you mean {{{{ {near[0]} }}}}?" if near else f"there are {', '.join(names)}; {literal}"
            mistakes.append(Mistake(start, f'unknown placeholder "{name}"', hint))
        at = loose.end() if loose else start + 2
    return found, mistakes


def _masked(source: str, found: Sequence[_Found]) -> str:
    """The source with letters where placeholders stand: same length, harmless everywhere."""
    pieces: list[str] = []
    at = 0
    for one in found:
        pieces += (source[at : one.start], "x" * (one.end - one.start))
        at = one.end
    return "".join(pieces) + source[at:]


def _context(one: _Found, tokens: Sequence[Token]) -> tuple[str, Mistake | None]:
    """What a placeholder stands in, and why it may not stand there."""
    token = next(t for t in tokens if t.start <= one.start < t.end)
    shown = f"{{{{ {one.name} }}}}"
    if token.kind is Kind.TEXT or (token.kind is Kind.RAW and token.name in scan.RCDATA):
        if one.name == "nonce":
            return "text", Mistake(one.start, f"{shown} may only be the value of a nonce attribute")
        return "text", None
    if token.kind is Kind.RAW:
        return "", Mistake(one.start, f"{shown} may not stand inside <{token.name}>", "put it in text or an attribute")
    if token.kind is Kind.COMMENT:
        return "", Mistake(one.start, f"{shown} may not stand in a comment", "visitors could read it")
    attribute = next((a for a in token.attributes if a.value_start <= one.start < a.value_end), None)
    if attribute is None:
        return "", Mistake(one.start, f"{shown} may not stand in a tag's or an attribute's name")
    return _attribute_context(one, attribute, shown)


def _attribute_context(one: _Found, attribute: Attribute, shown: str) -> tuple[str, Mistake | None]:
    name = attribute.name
    if name == "nonce" or one.name == "nonce":
        whole = attribute.value_start == one.start and attribute.value_end == one.end
        if name != "nonce" or one.name != "nonce" or not whole:
            return "", Mistake(one.start, '{{ nonce }} and the attribute nonce belong together: nonce="{{ nonce }}"')
    if attribute.quote == "":
        return "", Mistake(one.start, f"{shown} may not stand in a value without quotes", f'write {name}="{shown}"')
    if name in _ADDRESSES:
        return "", Mistake(one.start, f'{shown} may not stand in "{name}", which is an address', "write it out")
    if name == "style":
        return "", Mistake(one.start, f'{shown} may not stand in "style"', "use a class")
    if name.startswith(_CODE):
        return "", Mistake(one.start, f'{shown} may not stand in "{name}", which holds code', "use a data- attribute")
    return ("nonce" if name == "nonce" else "attribute"), None


def _told(source: str, mistakes: Sequence[Mistake]) -> tuple[MarkupProblem, ...]:
    told = []
    for mistake in sorted(set(mistakes), key=lambda m: (m.at, m.what)):
        before = source[: mistake.at]
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        told.append(MarkupProblem(line, column, mistake.what, mistake.hint))
    return tuple(told)


def _joined(parts: Sequence[str | Piece]) -> Parts:
    """Neighbouring literals in one, empty ones dropped: equal fragments have equal parts."""
    joined: list[str | Piece] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part:
            joined.append(part)
    return tuple(joined)


# --------------------------------------------------------------------------- values


def _value(value: str) -> str:
    return html.escape(_CONTROLS.sub("\ufffd", value), quote=True)


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


def _names(markup: str, token: Token) -> str:
    values = sorted((a.value_start, a.value_end) for a in token.attributes)
    kept, at = [], token.start
    for start, end in values:
        kept.append(markup[at:start])
        at = end
    return "".join((*kept, markup[at : token.end]))


def _lacking(text: str, charset: Charset) -> str:
    """The first character that the charset lacks; "" when it has them all."""
    try:
        text.encode(charset.codec)
    except UnicodeEncodeError as error:
        return text[error.start]
    return ""
