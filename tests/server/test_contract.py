"""What the guard uses of uvicorn, httptools and llhttp, pinned: an upgrade that breaks it fails here."""

from __future__ import annotations

import inspect
from typing import Any

import httptools
import pytest
import uvicorn
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from edgeproxy.server import guard
from edgeproxy.server.guard import EngineMismatch, check_engine
from edgeproxy.server.protocol import GuardProtocol
from tests.server.apps import Shop
from tests.server.wire import Noted, config, pipe, run

# ------------------------------------------------------------------ uvicorn


def test_the_installed_engine_is_the_one_that_the_guard_is_built_on() -> None:
    check_engine()
    check_engine(GuardProtocol)
    assert uvicorn.__version__.startswith("{}.{}.".format(*guard.UVICORN))


@pytest.mark.parametrize("version", ["0.53.9", "0.55.0", "1.0.0", "0.5"])
def test_another_uvicorn_is_refused_with_what_to_do(version: str) -> None:
    with pytest.raises(EngineMismatch, match="pip install"):
        check_engine(version=version)


@pytest.mark.parametrize("protocol", [H11Protocol, httptools_impl.HttpToolsProtocol, "h11", object()])
def test_another_protocol_is_refused(protocol: object) -> None:
    with pytest.raises(EngineMismatch):
        check_engine(protocol)


def test_a_parser_that_is_lenient_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lenient:
        def __init__(self, protocol: object) -> None:
            pass

        def feed_data(self, data: bytes) -> None:
            pass

    monkeypatch.setattr(httptools, "HttpRequestParser", Lenient)
    with pytest.raises(EngineMismatch, match="httptools"):
        check_engine()


def test_the_protocol_is_made_as_the_guard_makes_it() -> None:
    parameters = list(inspect.signature(httptools_impl.HttpToolsProtocol.__init__).parameters)
    assert parameters == ["self", "config", "server_state", "app_state", "_loop"]


def test_the_cycle_is_made_as_the_exchange_makes_it() -> None:
    parameters = set(inspect.signature(httptools_impl.RequestResponseCycle.__init__).parameters)
    assert parameters == {
        "self",
        "scope",
        "transport",
        "flow",
        "logger",
        "access_logger",
        "access_log",
        "default_headers",
        "message_event",
        "expect_100_continue",
        "keep_alive",
        "on_response",
    }


def test_the_attributes_that_are_used_are_there() -> None:
    async def test() -> None:
        connection = pipe(Shop(), Noted().guard())
        await connection.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        protocol = connection.protocol
        for name in (
            "parser",
            "transport",
            "flow",
            "server_state",
            "tasks",
            "loop",
            "app",
            "app_state",
            "client",
            "server",
            "scheme",
            "connections",
        ):
            assert hasattr(protocol, name), name
        for name in (
            "disconnected",
            "keep_alive",
            "waiting_for_100_continue",
            "body",
            "more_body",
            "response_started",
            "response_complete",
            "chunked_encoding",
            "message_event",
        ):
            assert hasattr(protocol.cycle, name), name
        assert set(vars(ServerState())) == {"total_requests", "connections", "tasks", "default_headers"}
        assert protocol.app is config(protocol.app).loaded_app

    run(test())  # fmt: skip


def test_flow_control_pauses_and_resumes_once() -> None:
    class Transport:
        calls: tuple[str, ...] = ()

        def pause_reading(self) -> None:
            self.calls += ("pause",)

        def resume_reading(self) -> None:
            self.calls += ("resume",)

    async def test() -> None:
        transport: Any = Transport()
        flow = FlowControl(transport)
        flow.pause_reading()
        flow.pause_reading()
        assert flow.read_paused
        flow.resume_reading()
        flow.resume_reading()
        assert transport.calls == ("pause", "resume")
        flow.pause_writing()
        assert flow.write_paused
        flow.resume_writing()
        await flow.drain()

    run(test())
    assert HIGH_WATER_LIMIT == 65536


def test_status_lines_are_bytes_and_end_in_a_line_break() -> None:
    assert httptools_impl.STATUS_LINE[404] == b"HTTP/1.1 404 Not Found\r\n"
    assert set(httptools_impl.STATUS_LINE) == set(range(100, 600))


# ------------------------------------------------------------------ llhttp


class Seen:
    """Everything that the parser says, in order."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self.said.append("begin")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.said.append((name, value))

    def on_headers_complete(self) -> None:
        self.said.append("head" + ("+" if self.parser.should_keep_alive() else "-"))

    def on_body(self, body: bytes) -> None:
        self.said.append(body)

    def on_message_complete(self) -> None:
        self.said.append("end")

    def feed(self, *pieces: bytes) -> list[Any]:
        for piece in pieces:
            self.parser.feed_data(piece)
        return self.said


POST = b"POST / HTTP/1.1\r\n"


@pytest.mark.parametrize("what", guard._MUST_FAIL)
def test_the_parser_refuses(what: str) -> None:
    with pytest.raises(httptools.HttpParserError):
        Seen().feed(guard._MUST_FAIL[what])


@pytest.mark.parametrize("byte", [*range(9), *range(10, 32), 127])
def test_the_parser_refuses_control_characters_in_values(byte: int) -> None:
    with pytest.raises(httptools.HttpParserError):
        Seen().feed(POST + b"A: b" + bytes([byte]) + b"c\r\n\r\n")


@pytest.mark.parametrize("byte", [*range(33), *b'"(),/;<=>?@[\\]{}', *range(127, 256)])
def test_the_parser_refuses_what_is_no_token_in_names(byte: int) -> None:
    with pytest.raises(httptools.HttpParserError):
        Seen().feed(POST + b"A" + bytes([byte]) + b"B: c\r\n\r\n")


def test_names_and_values_come_whole_with_their_trailing_whitespace() -> None:
    head = POST + b"Host: a\r\nX-A: b \t\r\nX-E:\r\n\r\n"
    wanted = ["begin", (b"Host", b"a"), (b"X-A", b"b \t"), (b"X-E", b""), "head+", "end"]
    assert Seen().feed(head) == wanted


def test_a_message_without_a_body_ends_with_its_head() -> None:
    assert Seen().feed(POST + b"Content-Length: 0\r\n\r\n")[-1] == "end"
    assert Seen().feed(POST + b"\r\n")[-1] == "end"


def test_connection_close_is_seen() -> None:
    assert "head-" in Seen().feed(POST + b"Connection: close\r\n\r\n")
    assert "head-" in Seen().feed(POST + b"Connection: a, Close\r\n\r\n")


def test_a_body_behind_an_offer_to_upgrade_is_read_after_a_second_head() -> None:
    """The parser gives up on such a message; it can be made to read on (``GuardProtocol._parse``)."""
    seen = Seen()
    with pytest.raises(httptools.HttpParserUpgrade):
        seen.feed(POST + b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\n")
    assert seen.said[-1] == "end"
    assert seen.feed(POST + b"Content-Length: 3\r\n\r\n", b"abc")[-2:] == [b"abc", "end"]
    assert seen.feed(POST + b"\r\n")[-1] == "end"


def test_trailers_come_as_headers_before_the_end() -> None:
    said = Seen().feed(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: y\r\n\r\n")
    assert said[-2:] == [(b"X-T", b"y"), "end"]


def test_an_exception_in_a_callback_stops_the_parser() -> None:
    class Stops(Seen):
        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self.said.count("begin") > 1:
                raise RuntimeError

    seen = Stops()
    with pytest.raises(httptools.HttpParserError):
        seen.feed(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nX: y\r\n\r\n")
    assert seen.said.count("end") == 1
    assert (b"X", b"y") not in seen.said
