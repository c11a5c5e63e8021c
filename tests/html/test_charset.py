"""How bytes become characters, and what is refused; then whole plans in those charsets."""

from __future__ import annotations

import codecs

import pytest

from edgeproxy.core.model import Expect
from edgeproxy.html import selectors
from edgeproxy.html.charset import CODECS, REFUSED, detect
from edgeproxy.html.model import Charset, Unplannable
from edgeproxy.html.plan import plan
from tests.html.oracle import slot

DETECTED = [
    # Content-Type, head of the body, label, source
    ("text/html; charset=UTF-8", b"", "utf-8", "header"),
    ('text/html;charset="Shift_JIS"', b"", "shift_jis", "header"),
    ("text/html; Charset = latin1", b"<meta charset=utf-8>", "utf-8", "meta"),  # a space forbids the parameter
    ("text/html; charset=ISO-8859-1", b"", "windows-1252", "header"),
    ("text/html; a=b; charset=gb2312; charset=big5", b"", "gbk", "header"),
    ("text/html; charset=utf-8", b"<meta charset=big5>", "utf-8", "header"),
    ("text/html; charset=nonsense", b"<meta charset=koi8-r>", "koi8-r", "meta"),
    ("text/html; charset=latin1", b"\xef\xbb\xbf<p>", "utf-8", "bom"),
    (None, b"\xef\xbb\xbf<meta charset=latin1>", "utf-8", "bom"),
    (None, b"<!DOCTYPE html><META CHARSET='Windows-1251' />", "windows-1251", "meta"),
    (None, b"<meta http-equiv=Content-Type content='text/html; charset=EUC-KR'>", "euc-kr", "meta"),
    (None, b'<meta content="text/html; charset = iso-8859-9" http-equiv="content-type">', "windows-1254", "meta"),
    (None, b"<meta http-equiv=refresh content='1; charset=big5'>", "windows-1252", "default"),
    (None, b"<!-- <meta charset=big5> --><meta charset=gbk>", "gbk", "meta"),
    (None, b"<!--><meta charset=gbk>", "gbk", "meta"),
    (None, b"<a title='<meta charset=big5>'><meta charset=gbk>", "gbk", "meta"),
    (None, b"<? <meta charset=big5> ><meta charset=gbk>", "gbk", "meta"),
    (None, b"<metadata charset=big5><meta/charset=gbk>", "gbk", "meta"),
    (None, b"<meta charset=big5 charset=gbk>", "big5", "meta"),
    (None, b"<meta charset=utf-16>", "utf-8", "meta"),
    (None, b"<meta charset=x-user-defined>", "windows-1252", "meta"),
    (None, b"<p>" + b" " * 1024 + b"<meta charset=gbk>", "windows-1252", "default"),
    (None, b"<meta charset=", "windows-1252", "default"),
    ("text/html", b"<p>caf\xe9", "windows-1252", "default"),
    (None, b"", "windows-1252", "default"),
]


@pytest.mark.parametrize(("content_type", "body", "label", "source"), DETECTED)
def test_detected(content_type: str | None, body: bytes, label: str, source: str) -> None:
    found = detect(content_type, body)
    assert (found.label, found.source, found.bom) == (label, source, 3 if source == "bom" else 0)
    codecs.lookup(found.codec)


TURNED_AWAY = [
    ("text/html", "hello".encode("utf-16"), "UTF-16"),
    ("text/html", codecs.BOM_UTF16_BE + "hello".encode("utf-16-be"), "UTF-16"),
    (None, "<html><p>hello".encode("utf-16-le"), "zero bytes"),
    (None, "<html><p>hello".encode("utf-16-be"), "zero bytes"),
    ("text/html; charset=utf-16le", b"<p>", "UTF-16"),
    ("text/html; charset=iso-2022-jp", b"<p>", "ISO-2022-JP"),
    (None, "<p>日本".encode("iso-2022-jp"), "ISO-2022-JP"),
    ("text/html; charset=iso-2022-kr", b"<p>", "browsers refuse"),
    ("text/html; charset=x-user-defined", b"<p>", "x-user-defined"),
    ("application/xhtml+xml; charset=utf-8", b"<p/>", "XHTML"),
    ("text/html", b'<?xml version="1.0" encoding="latin1"?><html>', "XHTML"),
    ("text/html", b"\xef\xbb\xbf<?xml version='1.0'?><html>", "XHTML"),
]


@pytest.mark.parametrize(("content_type", "body", "why"), TURNED_AWAY)
def test_refused(content_type: str | None, body: bytes, why: str) -> None:
    with pytest.raises(Unplannable, match=why):
        detect(content_type, body)


def test_every_encoding_has_a_codec_or_a_sentence() -> None:
    assert len(CODECS.keys() | REFUSED.keys()) == 40  # the Encoding Standard's
    for codec in CODECS.values():
        codecs.lookup(codec)


WIDE = ("utf-8", "gbk", "gb18030", "big5", "euc-jp", "shift_jis", "euc-kr")


def disguised(char: str, codec: str) -> bool:
    """Whether a character's bytes hold one that HTML's tokenizer looks at."""
    return not set(char.encode(codec, "ignore")).isdisjoint(b"<>\"'&=/! \t\n\f\r-")


@pytest.mark.parametrize("label", WIDE)
def test_no_byte_of_a_longer_character_looks_like_markup(label: str) -> None:
    codec = CODECS[label]
    characters = (chr(code) for code in range(0x80, 0x10000) if not 0xD800 <= code < 0xE000)
    assert [char for char in characters if disguised(char, codec)] == []


@pytest.mark.parametrize("label", sorted(CODECS.keys() - set(WIDE)))
def test_single_bytes_are_ascii_with_extras(label: str) -> None:
    ascii_bytes = bytes(range(0x80))
    assert ascii_bytes.decode(CODECS[label]) == ascii_bytes.decode("ascii")
    extras = bytes(range(0x80, 0x100)).decode(CODECS[label], "ignore")
    assert not extras.isascii()
    assert len(extras) <= 0x80


PAGE = (
    "<!doctype html><html><head><title>t</title></head><body>"
    '<p>{0}<b class="{0}" id="{0}-1">{0}</b>{0}</p></body></html>'
)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("utf-8", "é日本"),
        ("windows-1252", "é€"),
        ("shift_jis", "表示ソ能"),  # 0x5C ends three of them
        ("gbk", "繁體中文"),
        ("big5", "功能許蓋"),  # 0x5C again
        ("euc-kr", "한국어"),
        ("euc-jp", "日本語"),
        ("gb18030", "é日本\u0e01"),  # the last takes four bytes, two of them digits
        ("windows-1251", "Привет"),
    ],
)
@pytest.mark.parametrize("find", [".{0}", "p > .{0}", '[class="{0}"]', "#{0}-1", '[id^="{0}"]', "b.{1}"])
def test_slots_are_found_in_every_charset(label: str, text: str, find: str) -> None:
    codec = CODECS[label]
    body = PAGE.format(text).encode(codec)
    escaped = "".join(f"\\{ord(char):x} " for char in text)
    charset = detect(f"text/html; charset={label}", body)
    (element,) = plan(body, charset, [slot("x", find.format(text, escaped))]).slots["x"].elements
    assert body[element.start : element.end].decode(codec) == f'<b class="{text}" id="{text}-1">{text}</b>'
    assert element.attributes["class"][2] == text
    assert element.attributes["id"][2] == f"{text}-1"
    assert (element.trouble, element.outer_trouble) == ("", "")


def test_offsets_count_the_byte_order_mark() -> None:
    body = codecs.BOM_UTF8 + PAGE.format("é").encode()
    page = plan(body, detect(None, body), [slot("x", "b"), slot("p", "p")], children={"p": ()})
    (element,) = page.slots["x"].elements
    (paragraph,) = page.slots["p"].elements
    assert body[element.start : element.end].startswith(b"<b class")
    assert body[element.inner_start : element.inner_end] == "é".encode()
    assert body[slice(*element.attributes["id"][:2])] == 'id="é-1"'.encode()
    assert [body[child.start : child.end][:3] for child in paragraph.children] == [b"<b "]
    assert page.head_end is not None
    assert body[page.head_end :].startswith(b"</head>")
    assert page.body_end is not None
    assert body[page.body_end :].startswith(b"</body>")


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"title", ""),
        (b"title=plain", "plain"),
        (b"title=a/b", "a/b"),
        (b'title = "two words"', "two words"),
        (b"title='a \"b\"'", 'a "b"'),
        (b'title="a &amp; b &copy c &eacute;"', "a & b © c é"),
        (b'title="?a=1&copy=2"', "?a=1&copy=2"),  # not a reference in an attribute
        ('title="é &amp; &#233;"'.encode(), "é & é"),
        (b'title="a\r\nb"', "a\nb"),
        (b"TITLE='Upper'", "Upper"),
        (b"title=first title=second", "first"),
    ],
)
def test_attributes_have_their_value_in_characters(raw: bytes, value: str) -> None:
    body = b"<!doctype html><body><p>a</p><p id=x " + raw + b" data-end>b</p>"
    (element,) = plan(body, Charset("utf-8", "utf-8", 0, "header"), [slot("x", "#x")]).slots["x"].elements
    start, end, found = element.attributes["title"]
    assert found == value
    assert raw.startswith(body[start:end])
    assert list(element.attributes) == ["id", "title", "data-end"]


def test_a_page_that_declares_nothing_is_searched_for_ascii_alone() -> None:
    body = PAGE.format("é").encode()
    charset = detect(None, body)
    places = plan(body, charset, [slot("x", "b"), slot("y", ".é"), slot("z", ".é", Expect.ANY)]).slots
    assert places["x"].elements
    assert "characters that windows-1252 lacks" not in places["y"].trouble
    assert "declares no charset" in places["y"].trouble
    assert (places["z"].count, places["z"].elements) == (0, ())


def test_selectors_with_characters_that_a_charset_lacks_find_nothing() -> None:
    charset = Charset("windows-1252", "cp1252", 0, "header")
    assert selectors.compiled(".日本", charset) is None
    place = plan(b"<!doctype html><p>a", charset, [slot("x", ".日本")]).slots["x"]
    assert place.trouble == 'windows-1252 has not all characters of ".日本"'


@pytest.mark.parametrize(
    "selector", ["div > p:first-child", "a:not(.b, #c)", '[href^="/x"] ~ li:nth-child(2n+1 of .y)']
)
def test_selectors_that_parse(selector: str) -> None:
    assert selectors.problem(selector) is None
    assert selectors.compiled(selector, Charset("shift_jis", "cp932", 0, "header")) == selector


@pytest.mark.parametrize("selector", ["", "div >", "p::", "a[b", ":nonsense(x)"])
def test_selectors_that_do_not(selector: str) -> None:
    assert selectors.problem(selector)
