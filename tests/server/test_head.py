"""The guard's own judgement of a head, before the sanitiser has a say: two layers, each tested alone."""

from __future__ import annotations

import pytest

from edgeproxy.server.head import Refused, RequestLine, framing, look_early, request_line
from edgeproxy.settings import Limits

LIMITS = Limits()
LINE = RequestLine("POST", b"/c", b"", 1, 0)
OLD = LINE._replace(minor=0)
HOST = (b"host", b"shop.test")
CHUNKED = (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b"GET /c?d HTTP/1.1\r\n", ("GET", b"/c?d", b"", 1)),
        (b"M-SEARCH /\xe9 HTTP/1.0\r\n", ("M-SEARCH", b"/\xe9", b"", 0)),
        (b"GET HTTP://a.b:81/c?d HTTP/1.1\r\n", ("GET", b"/c?d", b"a.b:81", 1)),
        (b"GET https://a.b?d HTTP/1.1\r\n", ("GET", b"/?d", b"a.b", 1)),
    ],
)
def test_a_request_line_is_read(line: bytes, wanted: tuple[str, bytes, bytes, int]) -> None:
    assert request_line(line + b"Host: x\r\n\r\n", LIMITS) == (*wanted, len(line))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /c#d HTTP/1.1", 400),
        (b"GET /c#d HTTP/2.0", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET / HTTP/1.11", 400),
        (b"GET\x0b/ HTTP/1.1", 400),
        (b"GET / HTTP/3.0", 505),
        (b"GET / HTTP/0.9", 505),
        (b"G" * 33 + b" / HTTP/1.1", 400),
        (b"GET c HTTP/1.1", 400),
        (b"OPTIONS * HTTP/1.1", 400),
        (b"CONNECT a:1 HTTP/1.1", 405),
        (b"GET http:///c HTTP/1.1", 400),
        (b"GET http://u@a/c HTTP/1.1", 400),
        (b"GET http://a\\b/c HTTP/1.1", 400),
        (b"GET http://a@b HTTP/1.1", 400),
        (b"GET file:///etc/passwd HTTP/1.1", 400),
        (b"GET /" + b"a" * LIMITS.target_bytes + b" HTTP/1.1", 414),
    ],
)
def test_a_request_line_is_refused(line: bytes, status: int) -> None:
    with pytest.raises(Refused) as refused:
        request_line(line + b"\r\nHost: x\r\n\r\n", LIMITS)
    assert refused.value.status == status


def test_framing_is_read() -> None:
    assert framing([HOST], LINE) == (None, False, False)
    assert framing([HOST, (b"content-length", b"007")], LINE) == (7, False, False)
    assert framing([HOST, (b"transfer-encoding", b"Chunked")], LINE) == (None, True, False)
    assert framing([HOST, (b"expect", b"100-Continue")], LINE).expects
    assert not framing([HOST, (b"expect", b"100-continue")], OLD).expects
    assert not framing([HOST, (b"expect", b"more")], LINE).expects
    assert framing([], OLD) == (None, False, False)
    assert framing([HOST], LINE._replace(authority=b"SHOP.test")) == (None, False, False)


@pytest.mark.parametrize(
    ("headers", "line"),
    [
        ([], LINE),
        ([HOST, HOST], LINE),
        ([HOST, HOST], OLD),
        ([(b"host", b"")], OLD),
        ([(b"host", b"a b")], LINE),
        ([HOST, (b"content-length", b"1"), (b"content-length", b"1")], LINE),
        ([HOST, (b"content-length", b"+1")], LINE),
        ([HOST, (b"content-length", b"")], LINE),
        ([HOST, (b"content-length", b"\xb2")], LINE),
        ([HOST, (b"content-length", b"1" * 19)], LINE),
        ([HOST, (b"content-length", b"1"), CHUNKED], LINE),
        ([HOST, CHUNKED, (b"content-length", b"1")], LINE),
        ([HOST, CHUNKED, CHUNKED], LINE),
        ([HOST, CHUNKED], OLD),
        ([HOST, (b"transfer-encoding", b"gzip, chunked")], LINE),
        ([HOST, (b"transfer-encoding", b"")], LINE),
        ([HOST], LINE._replace(authority=b"evil.test")),
        ([], OLD._replace(authority=b"evil.test")),
    ],
)
def test_framing_is_refused(headers: list[tuple[bytes, bytes]], line: RequestLine) -> None:
    with pytest.raises(Refused) as refused:
        framing(headers, line)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("part", "status"),
    [
        (b"\0", 400),
        (b" GET", 400),
        (b"\xff", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\rX", 400),
        (b"GET / HTTP/1.1\r\nA: b\nC", 400),
        (b"GET /\r\n", 400),
        (b"GET / HTTP/2.0\r\n", 505),
        (b"GET /" + b"a" * 16500, 414),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 32768, 431),
    ],
)
def test_what_cannot_become_a_head_is_not_waited_for(part: bytes, status: int) -> None:
    for seen in {0, len(part) - 1}:
        with pytest.raises(Refused) as refused:
            look_early(bytearray(part), seen, LIMITS)
        assert refused.value.status == status


@pytest.mark.parametrize("part", [b"G", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r"])
def test_what_can_become_a_head_is_waited_for(part: bytes) -> None:
    look_early(bytearray(part), 0, LIMITS)
