r"""CSS selectors as they are asked of a page that is read one character a byte.

Here: whether a selector parses, and how it is written for a page's charset.  Not here: where its matches stand
(``locate``).  Called by ``plan`` and by the check of rule files.

In the page "é" is two characters in UTF-8 ("Ã©") and one in windows-1252, so a selector that says ``.é`` or ``.\e9 x``
is written anew for each charset.  ASCII selectors, nearly all there are, stay what they are.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import turbohtml

from edgeproxy.html.model import Charset

_NOTHING: Final = turbohtml.parse("", scripting=True)
_ESCAPE: Final = re.compile(r"\\(?:([0-9a-fA-F]{1,6})(?:\r\n|[ \t\r\n\f])?|([^0-9a-fA-F\r\n\f]))")
_KEPT: Final = 4096


@lru_cache(maxsize=_KEPT)
def problem(selector: str) -> str | None:
    """What is wrong with a selector, in words; None when it parses."""
    try:
        _NOTHING.select(selector)
    except ValueError as mistake:
        return str(mistake)
    return None


def compiled(selector: str, charset: Charset) -> str | None:
    """The selector for the latin-1 view of a page; None: it names characters that the charset cannot hold.

    A page that declares no charset can be anything: only ASCII selectors find something there.
    """
    if selector.isascii() and "\\" not in selector:
        return selector
    return _compiled(selector, charset.codec)


@lru_cache(maxsize=_KEPT)
def _compiled(selector: str, codec: str) -> str | None:
    try:
        plain = _ESCAPE.sub(lambda match: _unescaped(match, codec), selector)
        return "".join(_as_bytes(char, codec) for char in plain)
    except UnicodeEncodeError:
        return None


def _unescaped(match: re.Match[str], codec: str) -> str:
    """An escape of a non-ASCII character becomes escapes of its bytes; others stay."""
    number = int(match[1], 16) if match[1] else ord(match[2])
    if number < 0x80 or number > 0x10FFFF or 0xD800 <= number < 0xE000:
        return match[0]
    return "".join(f"\\{byte:x} " for byte in chr(number).encode(codec))


def _as_bytes(char: str, codec: str) -> str:
    """A character as the view has it; bytes that CSS would take for syntax (Shift_JIS has them) are escaped."""
    if char.isascii():
        return char
    return "".join(chr(byte) if byte >= 0x80 else f"\\{byte:x} " for byte in char.encode(codec))
