"""How a page's bytes become characters: byte-order mark, Content-Type, ``<meta>``, as browsers decide it.

Here: ``detect``, pure.  Not here: decoding whole pages (nobody does that: pages are read as latin-1, one character
a byte, so that an offset in the text is an offset in the body).  Called by whoever wants a plan, before ``plan``.

Reading one character a byte is right as long as no byte that HTML's tokenizer looks at can be part of a longer
character.  That holds for every encoding of the Encoding Standard but three kinds, which are refused: UTF-16,
ISO-2022-JP (plain ASCII bytes between escapes) and the ones that browsers replace by nothing.  The second bytes of
Shift_JIS, GBK, Big5 and EUC-KR begin at 0x40, those of GB18030's four-byte form are digits: none is a quote, ``&``,
``/``, ``<``, ``=`` or ``>``, and where a second byte is missing, decoders give the ASCII byte back.

Source: WHATWG HTML, 13.2.3 (encoding sniffing) and the Encoding Standard, 4.2 (labels).
"""

from __future__ import annotations

import re
from typing import Final

from edgeproxy.html.model import Charset, Unplannable

PRESCAN: Final = 1024
"""Bytes of the page that are searched for a ``<meta>`` (WHATWG HTML, 13.2.3.2)."""

UNDECLARED: Final = "ascii"
"""Codec of a page that declares nothing: what is written there is ASCII with character references, right in all."""

# WHATWG name, Python's codec ("-": refused), labels beside the name (Encoding Standard, 4.2)
_TABLE: Final = """
utf-8          utf-8        unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf8 x-unicode20utf8
ibm866         cp866        866 cp866 csibm866
iso-8859-2     iso8859-2    csisolatin2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2
iso-8859-3     iso8859-3    csisolatin3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3
iso-8859-4     iso8859-4    csisolatin4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4
iso-8859-5     iso8859-5    csisolatincyrillic cyrillic iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988
iso-8859-6     iso8859-6    arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6-e
                            iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987
iso-8859-7     iso8859-7    csisolatingreek ecma-118 elot_928 greek greek8 iso-ir-126 iso8859-7 iso88597 iso_8859-7
                            iso_8859-7:1987 sun_eu_greek
iso-8859-8     iso8859-8    csiso88598e csisolatinhebrew hebrew iso-8859-8-e iso-ir-138 iso8859-8 iso88598
                            iso_8859-8 iso_8859-8:1988 visual
iso-8859-8-i   iso8859-8    csiso88598i logical
iso-8859-10    iso8859-10   csisolatin6 iso-ir-157 iso8859-10 iso885910 l6 latin6
iso-8859-13    iso8859-13   iso8859-13 iso885913
iso-8859-14    iso8859-14   iso8859-14 iso885914
iso-8859-15    iso8859-15   csisolatin9 iso8859-15 iso885915 iso_8859-15 l9
iso-8859-16    iso8859-16
koi8-r         koi8-r       cskoi8r koi koi8 koi8_r
koi8-u         koi8-u       koi8-ru
macintosh      mac-roman    csmacintosh mac x-mac-roman
windows-874    cp874        dos-874 iso-8859-11 iso8859-11 iso885911 tis-620
windows-1250   cp1250       cp1250 x-cp1250
windows-1251   cp1251       cp1251 x-cp1251
windows-1252   cp1252       ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1
                            iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii x-cp1252
windows-1253   cp1253       cp1253 x-cp1253
windows-1254   cp1254       cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989
                            l5 latin5 x-cp1254
windows-1255   cp1255       cp1255 x-cp1255
windows-1256   cp1256       cp1256 x-cp1256
windows-1257   cp1257       cp1257 x-cp1257
windows-1258   cp1258       cp1258 x-cp1258
x-mac-cyrillic mac-cyrillic x-mac-ukrainian
gbk            gbk          chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 iso-ir-58 x-gbk
gb18030        gb18030
big5           big5hkscs    big5-hkscs cn-big5 csbig5 x-x-big5
euc-jp         euc-jp       cseucpkdfmtjapanese x-euc-jp
shift_jis      cp932        csshiftjis ms932 ms_kanji shift-jis sjis windows-31j x-sjis
euc-kr         cp949        cseuckr csksc56011987 iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601
                            windows-949
iso-2022-jp    -            csiso2022jp
replacement    -            csiso2022kr hz-gb-2312 iso-2022-cn iso-2022-cn-ext iso-2022-kr
utf-16be       -            unicodefffe
utf-16le       -            csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16
x-user-defined -
"""
REFUSED: Final = {
    "iso-2022-jp": "ISO-2022-JP",
    "replacement": "a charset that browsers refuse",
    "utf-16be": "UTF-16",
    "utf-16le": "UTF-16",
    "x-user-defined": "x-user-defined",
}
"""What people call the encodings in which they cannot."""

_ROWS: Final = [row.split() for row in re.split(r"\n(?=\S)", _TABLE.strip())]
CODECS: Final = {name: codec for name, codec, *_ in _ROWS if codec != "-"}
"""Python's codec of every encoding in which pages can be planned, by WHATWG name."""

_NAMES: Final = {label: name for name, _, *others in _ROWS for label in (name, *others)}

_PARAMETER: Final = re.compile(r';[ \t]*([^;=\s]+)=(?:"((?:[^"\\]|\\.)*)"?|([^;]*))')
_TAG_END: Final = re.compile(rb"[\t\n\f\r >]")
_ATTRIBUTE: Final = re.compile(
    rb"[\t\n\f\r /]*"
    rb"(=?[^\t\n\f\r />=]*)"  # the name
    rb"(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:\"([^\"]*)\"?|'([^']*)'?|([^\t\n\f\r >]*)))?"
)
_IN_CONTENT: Final = re.compile(
    rb"charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:\"([^\"]*)\"|'([^']*)'|([^\t\n\f\r ;\"']+))", re.IGNORECASE
)


def detect(content_type: str | None, body: bytes) -> Charset:
    """The page's charset: byte-order mark, then ``content_type`` (the header's value), then ``<meta>``.

    ``Charset.label`` is the WHATWG name ("iso-8859-1" is "windows-1252").  A page that declares nothing gets
    ``source`` "default" and the codec "ascii", see ``UNDECLARED``.

    Raises ``Unplannable`` with a sentence for XHTML and for charsets in which bytes are not ASCII with extras.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type.endswith(("+xml", "/xml")) or body.removeprefix(b"\xef\xbb\xbf").startswith(b"<?xml"):
        raise Unplannable("the page is XHTML")
    if body.startswith((b"\xfe\xff", b"\xff\xfe")):
        raise Unplannable("the page is in UTF-16")
    if body.startswith(b"\xef\xbb\xbf"):
        return Charset("utf-8", "utf-8", 3, "bom")
    if b"\0" in body[:PRESCAN]:
        raise Unplannable("the page has zero bytes, as UTF-16 without a byte-order mark would")
    named = _named(_parameter(content_type or ""))
    if named is not None:
        return _charset(named, "header")
    named = _prescan(body[:PRESCAN])
    if named is not None:
        return _charset(named, "meta")
    if b"\x1b$" in body or b"\x1b(" in body:
        raise Unplannable("the page declares no charset and has escapes as in ISO-2022-JP")
    return Charset("windows-1252", UNDECLARED, 0, "default")


def _charset(name: str, source: str) -> Charset:
    if name in REFUSED:
        raise Unplannable(f"the page is in {REFUSED[name]}")
    return Charset(name, CODECS[name], 0, source)


def _named(label: str | None) -> str | None:
    return _NAMES.get(label.strip("\t\n\f\r ").lower()) if label is not None else None


def _parameter(content_type: str) -> str | None:
    """The first ``charset`` parameter of a media type (WHATWG MIME Sniffing, 4.4)."""
    for name, quoted, plain in _PARAMETER.findall(content_type):
        if name.lower() == "charset":
            return re.sub(r"\\(.)", r"\1", quoted) or str(plain).strip()
    return None


def _prescan(head: bytes) -> str | None:
    """What a ``<meta>`` declares (WHATWG HTML, 13.2.3.2, "prescan a byte stream to determine its encoding")."""
    at = 0
    while (at := head.find(b"<", at)) >= 0:
        if head.startswith(b"<!--", at):
            end = head.find(b"-->", at + 2)
            at = end + 3 if end >= 0 else len(head)
        elif head[at + 1 : at + 5].lower() == b"meta" and head[at + 5 : at + 6] in b"\t\n\f\r /":
            attributes, at = _attributes(head, at + 5)
            declared = _declared(attributes)
            if declared is not None:
                return declared
        elif re.match(rb"</?[a-zA-Z]", head[at : at + 3]):
            name_end = _TAG_END.search(head, at)
            _, at = _attributes(head, name_end.start() if name_end else len(head))
        elif head[at + 1 : at + 2] in (b"!", b"/", b"?"):
            end = head.find(b">", at)
            at = end + 1 if end >= 0 else len(head)
        else:
            at += 1
    return None


def _attributes(head: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """A tag's attributes, lower-cased as the prescan does, the first of a name; and where reading goes on."""
    found: dict[bytes, bytes] = {}
    while True:
        match = _ATTRIBUTE.match(head, at)
        if match is None or not match[1]:
            return found, match.end() if match else at
        at = match.end()
        value = next((v for v in match.groups()[1:] if v is not None), b"")
        found.setdefault(match[1].lower(), value.lower())


def _declared(attributes: dict[bytes, bytes]) -> str | None:
    label = attributes.get(b"charset")
    if label is None and attributes.get(b"http-equiv") == b"content-type":
        match = _IN_CONTENT.search(attributes.get(b"content", b""))
        label = next((v for v in match.groups() if v is not None), None) if match else None
    name = _named(label.decode("latin-1")) if label is not None else None
    if name in ("utf-16be", "utf-16le"):
        return "utf-8"  # a page that can say so in ASCII is not UTF-16
    return "windows-1252" if name == "x-user-defined" else name
