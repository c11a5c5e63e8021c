"""The guard: limits, deadlines, when the app begins, who may leave.  Time is moved by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from edgeproxy.errors import CutShort
from edgeproxy.settings import Limits
from tests.server.apps import Shop, answer, body_of
from tests.server.wire import Noted, Pipe, answers, pipe, run

HOST = b"Host: shop.test\r\n"
GET = b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"
NEXT = b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n"


def post(length: int, *lines: bytes) -> bytes:
    more = b"".join(line + b"\r\n" for line in lines)
    return b"POST /a HTTP/1.1\r\n" + HOST + more + b"Content-Length: %d\r\n\r\n" % length


CHUNKED = b"POST /a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


class Slow:
    """An app whose answer waits until the test says so; keeps what became of it."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        await answer(send, 200, scope["raw_path"])


class Streaming:
    """An app that has sent its head and the first part of a body, and waits."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.headers = list(headers)
        self.cancelled = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        await send({"type": "http.response.body", "body": b"last"})


def statuses(connection: Pipe) -> list[int]:
    return [each.status for each in answers(bytes(connection.out))]


# ------------------------------------------------------------------ limits


@pytest.mark.parametrize(
    ("data", "status", "limit"),
    [
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 32768 + b"\r\n\r\n", 431, "header_bytes"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 40000, 431, "header_bytes"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 100 + b"\r\n", 431, "header_lines"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 20000 + b"\r\n", 431, "header_bytes"),
        (b"GET /" + b"a" * 16384 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "target_bytes"),
        (b"GET /" + b"a" * 100000, 414, "target_bytes"),
        (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "target_bytes"),
    ],
)
def test_a_head_beyond_its_limits_is_refused_and_counted(data: bytes, status: int, limit: str) -> None:
    async def test() -> None:
        for pieces in ([data], [data[n : n + 1000] for n in range(0, len(data), 1000)]):
            shop, noted = Shop(), Noted()
            connection = pipe(shop, noted.guard())
            await connection.say(*pieces)
            assert statuses(connection) == [status]
            assert noted.limits == [limit]
            assert connection.ended
            assert not shop.called

    run(test())


def test_a_head_at_its_limits_passes() -> None:
    async def test() -> None:
        for data in (
            b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 99 + b"\r\n",
            b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * (32768 - 16 - 17 - 7) + b"\r\n\r\n",
            b"GET /" + b"a" * 16383 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        ):
            shop, noted = Shop(), Noted()
            connection = pipe(shop, noted.guard())
            await connection.say(data)
            assert (statuses(connection), noted.limits) == ([200], [])

    run(test())


def test_what_is_kept_of_a_refused_head_is_nothing() -> None:
    """A client that goes on sending costs no memory."""

    async def test() -> None:
        noted = Noted()
        connection = pipe(Shop(), noted.guard())
        for _ in range(50):
            connection.feed(b"a" * 65536)
        await connection.settle()
        assert noted.statuses == [414]
        assert not connection.protocol._head
        assert not connection.protocol._held

    run(test())


def test_connections_are_counted_in_all_and_by_address() -> None:
    async def test() -> None:
        shop, noted = Shop(), Noted()
        guard = noted.guard(Limits(connections=5, connections_per_address=2), trusted=["10.0.0.1"])
        first = pipe(shop, guard, peer="192.0.2.1")
        pipe(shop, guard, peer="192.0.2.1")
        third = pipe(shop, guard, peer="192.0.2.1")
        [refused] = answers(bytes(third.out))
        assert refused.status == 503
        assert refused.header(b"retry-after") == b"1"
        assert noted.limits == ["connections_per_address"]
        third.leave()
        first.leave()
        fourth = pipe(shop, guard, peer="192.0.2.1")
        assert not fourth.out
        proxies = [pipe(shop, guard, peer="10.0.0.1") for _ in range(4)]
        assert noted.limits == ["connections_per_address", "connections"]
        assert [bool(each.out) for each in proxies] == [False, False, False, True]
        for each in (*proxies, fourth):
            each.leave()
        assert guard.connections == 1

    run(test())


@pytest.mark.parametrize(
    ("others", "over"),
    [
        (["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::9"], True),
        (["2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:2::1"], False),
        (["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"], True),
        (["192.0.2.1", "192.0.2.2", "192.0.2.3"], False),
        (["fe80::1%eth0", "fe80::2%eth0", "fe80::3%eth0"], True),
        (["2001:db8::1", "2001:db8::a", "2001:db8::a", "2001:db8::a"], False),  # the last is a trusted proxy
    ],
)
def test_connections_of_one_network_count_together_where_a_subscriber_has_a_whole_one(
    others: list[str], over: bool
) -> None:
    async def test() -> None:
        noted = Noted()
        guard = noted.guard(Limits(connections_per_address=2), trusted=["2001:db8::a"])
        opened = [pipe(Shop(), guard, peer=peer) for peer in others]
        assert noted.limits == (["connections_per_address"] if over else [])
        for each in opened:
            each.leave()
        assert (guard.connections, guard.from_address(others[0])) == (0, 0)
        assert not guard._by_source

    run(test())


def test_more_requests_than_may_be_at_work_are_told_to_come_back() -> None:
    async def test() -> None:
        slow, noted = Slow(), Noted()
        guard = noted.guard(Limits(requests=1))
        first = pipe(slow, guard)
        second = pipe(slow, guard, state=first.protocol.server_state)
        await first.say(GET)
        await second.say(GET)
        assert (statuses(second), noted.limits) == ([503], ["requests"])
        assert slow.begun == 1
        slow.go.set()
        await first.settle()
        assert statuses(first) == [200]

    run(test())


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes() -> None:
    async def test() -> None:
        shop, noted = Shop(), Noted()
        connection = pipe(shop, noted.guard(Limits(body_bytes=10)))
        await connection.say(post(11))
        assert (statuses(connection), noted.limits, shop.called) == ([413], ["body_bytes"], 0)

    run(test())


@pytest.mark.parametrize("started", [False, True])
def test_a_chunked_body_that_grows_too_large_is_refused_while_it_comes(started: bool) -> None:
    async def test() -> None:
        cancelled: list[bool] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if started:
                await send({"type": "http.response.start", "status": 200, "headers": []})
            try:
                await body_of(receive)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        noted = Noted()
        connection = pipe(app, noted.guard(Limits(body_bytes=100_000)))
        await connection.say(CHUNKED, b"11170\r\n" + b"a" * 70_000 + b"\r\n")
        await connection.say(b"11170\r\n" + b"a" * 40_000)
        assert noted.limits == ["body_bytes"]
        assert cancelled == [True]
        assert connection.aborted is started
        if not started:
            assert statuses(connection) == [413]

    run(test())


def test_the_body_limit_may_be_switched_off() -> None:
    async def test() -> None:
        shop, noted = Shop(), Noted()
        connection = pipe(shop, noted.guard(Limits(body_bytes=0)))
        await connection.say(post(200_000) + b"a" * 200_000)
        assert (statuses(connection), noted.limits) == ([200], [])

    run(test())


@pytest.mark.parametrize("framing", [b"3;" + b"a" * 70_000, b"0\r\nX-T: " + b"a" * 70_000, b"0" * 70_000])
def test_framing_without_a_body_in_it_does_not_go_on_for_ever(framing: bytes) -> None:
    async def test() -> None:
        shop, noted = Shop(), Noted()
        connection = pipe(shop, noted.guard())
        await connection.say(CHUNKED, *(framing[n : n + 10_000] for n in range(0, len(framing), 10_000)))
        assert (statuses(connection), shop.called) == ([400], 0)

    run(test())


# ------------------------------------------------------------------ deadlines


def test_a_connection_that_says_nothing_is_closed_without_an_answer() -> None:
    async def test() -> None:
        noted = Noted()
        guard = noted.guard()
        connection = pipe(Shop(), guard)
        for now in (0, 5, 9.9):
            guard.tick(now)
            assert not connection.closed
        guard.tick(10)
        assert connection.closed
        assert not connection.out
        assert noted.limits == ["header_seconds"]

    run(test())


@pytest.mark.parametrize("first", [b"", GET])
def test_a_head_must_be_there_in_time_however_it_drips(first: bytes) -> None:
    async def test() -> None:
        noted = Noted()
        guard = noted.guard()
        connection = pipe(Shop(), guard)
        await connection.say(first) if first else None
        guard.tick(0)
        connection.feed(b"G")
        for second in range(1, 11):
            guard.tick(second)
            connection.feed(b"ET /slow HTTP/1.1\r\n"[second - 1 : second])
            assert not connection.ended
        guard.tick(11)
        assert connection.ended
        assert statuses(connection)[-1] == 408
        assert noted.limits == ["header_seconds"]

    run(test())


def test_empty_lines_do_not_move_the_deadline() -> None:
    async def test() -> None:
        guard = Noted().guard()
        connection = pipe(Shop(), guard)
        for second in (0, 4, 8):
            guard.tick(second)
            connection.feed(b"\r\n")
        guard.tick(10)
        assert connection.closed

    run(test())


@pytest.mark.parametrize(("peer", "seconds"), [("192.0.2.1", 5), ("10.0.0.1", 75)])
def test_an_idle_connection_is_kept_longer_for_a_trusted_proxy(peer: str, seconds: float) -> None:
    async def test() -> None:
        noted = Noted()
        guard = noted.guard(trusted=["10.0.0.1"])
        connection = pipe(Shop(), guard, peer=peer)
        await connection.say(GET)
        guard.tick(100)
        guard.tick(100 + seconds - 0.1)
        assert connection.state == "open"
        await connection.say(GET)
        guard.tick(200)
        guard.tick(200 + seconds)
        assert connection.state == "closed"
        assert statuses(connection) == [200, 200]
        assert not noted.refusals

    run(test())


def test_an_answer_may_take_as_long_as_the_app_wants() -> None:
    async def test() -> None:
        guard = Noted().guard()
        slow = Slow()
        connection = pipe(slow, guard)
        await connection.say(GET)
        for now in range(0, 1000, 7):
            guard.tick(now)
        assert not connection.closed
        slow.go.set()
        await connection.settle()
        assert statuses(connection) == [200]

    run(test())


@pytest.mark.parametrize("head", [post(100_000), CHUNKED])
def test_a_body_that_does_not_come_is_not_waited_for(head: bytes) -> None:
    async def test() -> None:
        for pieces in ([head], [head, b"1"]):
            slow, noted = Slow(), Noted()
            guard = noted.guard()
            connection = pipe(slow, guard)
            await connection.say(*pieces)
            guard.tick(0)
            guard.tick(9.9)
            assert not connection.ended
            guard.tick(10)
            await connection.settle()
            assert statuses(connection) == [408]
            assert noted.limits == ["rate_bytes"]
            assert slow.begun == slow.cancelled

    run(test())


def test_a_body_may_come_slowly_but_not_by_the_drop() -> None:
    async def test() -> None:
        for drop, refused in ((1000, False), (499, True)):
            noted = Noted()
            guard = noted.guard()
            connection = pipe(Slow(), guard)
            await connection.say(post(100_000))
            for second in range(31):
                guard.tick(second)
                connection.feed(b"a" * drop)
            assert bool(noted.refusals) is refused

    run(test())


def test_a_body_is_not_waited_for_without_end_at_whatever_rate_it_comes() -> None:
    async def test() -> None:
        noted = Noted()
        guard = noted.guard(Limits(body_seconds=60))
        connection = pipe(Shop(), guard)
        await connection.say(post(1000), b"a" * 1000)  # one that ended in time does not count
        connection.feed(post(10_000_000))
        for second in range(60):
            guard.tick(second)
            connection.feed(b"a" * 1000)
            await connection.settle()
            assert not noted.refusals
        guard.tick(60)
        assert noted.limits == ["body_seconds"]

    run(test())


def test_nobody_is_blamed_while_we_do_not_read() -> None:
    async def test() -> None:
        noted = Noted()
        guard = noted.guard()
        connection = pipe(Slow(), guard)
        await connection.say(post(10_000_000), b"a" * 200_000)
        assert connection.paused
        for second in range(100):
            guard.tick(second)
        assert not noted.refusals

    run(test())


def test_nobody_is_blamed_who_waits_for_a_100() -> None:
    async def test() -> None:
        noted = Noted()
        guard = noted.guard()
        connection = pipe(Slow(), guard)
        await connection.say(post(1000, b"Expect: 100-continue"))
        for second in range(100):
            guard.tick(second)
        assert not noted.refusals

    run(test())


def test_an_answer_that_is_not_taken_is_broken_off() -> None:
    async def test() -> None:
        for whole in (False, True):
            noted = Noted()
            guard = noted.guard()
            app: Any = Shop() if whole else Streaming()
            connection = pipe(app, guard)
            await connection.say(GET)
            connection.waiting = len(connection.out)
            for now in (0, 4, 9.9):
                guard.tick(now)
                assert not connection.closed
            guard.tick(10)
            assert connection.aborted
            assert noted.limits == ["rate_bytes"]

    run(test())


def test_an_answer_that_is_taken_slowly_is_finished_and_only_then_the_connection_is_idle() -> None:
    async def test() -> None:
        noted = Noted()
        guard = noted.guard()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, 200, b"a" * 60_000)

        connection = pipe(app, guard)
        await connection.say(GET)
        connection.waiting = 60_000
        for now in range(0, 100, 5):
            guard.tick(now)
            assert not connection.closed
            connection.waiting -= 3000
        connection.waiting = 0
        guard.tick(100)
        guard.tick(104)
        assert connection.state == "open"
        guard.tick(105)
        assert connection.state == "closed"
        assert not noted.refusals

    run(test())


def test_after_a_refusal_the_rest_is_read_for_a_moment() -> None:
    async def test() -> None:
        guard = Noted().guard()
        connection = pipe(Shop(), guard)
        await connection.say(b"\x16\x03")
        assert connection.ended
        assert not connection.closed
        await connection.say(b"more", GET)
        assert statuses(connection) == [400]
        guard.tick(0)
        guard.tick(1.9)
        assert not connection.closed
        guard.tick(2)
        assert connection.closed

    run(test())


# ------------------------------------------------------------------ when the app begins


def test_the_app_begins_when_a_short_body_is_whole() -> None:
    async def test() -> None:
        shop = Shop()
        connection = pipe(shop, Noted().guard())
        await connection.say(post(6), b"abc")
        assert not shop.called
        await connection.say(b"def")
        assert [body for _, body in shop.reached] == [b"abcdef"]

    run(test())


def test_the_app_begins_with_the_first_64_kilobytes_of_a_longer_one() -> None:
    async def test() -> None:
        slow = Slow()
        connection = pipe(slow, Noted().guard())
        await connection.say(post(1_000_000), b"a" * 65_535)
        assert slow.begun == 0
        await connection.say(b"a")
        assert slow.begun == 1

    run(test())


def test_the_app_begins_after_a_second_of_a_slow_one() -> None:
    async def test() -> None:
        slow = Slow()
        guard = Noted().guard()
        connection = pipe(slow, guard)
        await connection.say(post(1_000_000), b"a" * 100)
        guard.tick(0)
        guard.tick(0.9)
        await connection.settle()
        assert slow.begun == 0
        guard.tick(1)
        await connection.settle()
        assert slow.begun == 1

    run(test())


def test_a_client_that_expects_a_100_gets_it_when_the_app_wants_the_body() -> None:
    async def test() -> None:
        shop = Shop()
        connection = pipe(shop, Noted().guard())
        assert await connection.say(post(3, b"Expect: 100-Continue")) == b"HTTP/1.1 100 Continue\r\n\r\n"
        out = await connection.say(b"abc", GET)
        assert out.count(b"100 Continue") == 1
        assert [body for _, body in shop.reached] == [b"abc", b""]

    run(test())


def test_a_client_that_did_not_wait_gets_no_100() -> None:
    async def test() -> None:
        connection = pipe(Shop(), Noted().guard())
        out = await connection.say(post(3, b"Expect: 100-continue") + b"abc")
        assert b"100 Continue" not in out
        assert statuses(connection) == [200]

    run(test())


def test_a_connection_closes_when_a_client_was_answered_instead_of_told_to_go_on() -> None:
    """Whether it sends the body now is its choice: nobody could say where its next request begins."""

    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, 403, b"no")

        connection = pipe(app, Noted().guard())
        await connection.say(post(1000, b"Expect: 100-continue"))
        [refused] = answers(bytes(connection.out))
        assert (refused.status, refused.header(b"connection")) == (403, b"close")
        assert connection.ended
        await connection.say(NEXT)
        assert statuses(connection) == [403]

    run(test())


def test_an_early_answer_leaves_the_connection_open_when_little_is_still_to_come() -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, 200, scope["raw_path"])

        guard = Noted().guard()
        connection = pipe(app, guard)
        await connection.say(post(100_000), b"a" * 70_000)
        assert statuses(connection) == [200]
        assert not connection.ended
        await connection.say(b"a" * 30_000 + NEXT)
        assert [each.body for each in answers(bytes(connection.out))] == [b"/a", b"/next"]

    run(test())


@pytest.mark.parametrize("limits", [Limits(), Limits(rate_seconds=100, body_seconds=10)], ids=["rate", "time"])
def test_after_an_early_answer_a_body_that_does_not_come_ends_the_connection_without_another(limits: Limits) -> None:
    """A second answer to one request would be taken for the next one's (RFC 9112, 9.2)."""

    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, 200, b"early")

        noted = Noted()
        guard = noted.guard(limits)
        connection = pipe(app, guard)
        await connection.say(post(100_000), b"a" * 70_000)
        for second in range(12):
            guard.tick(second)
        await connection.settle()
        assert [(each.status, each.body) for each in answers(bytes(connection.out))] == [(200, b"early")]
        assert connection.state in ("closed", "ended")
        assert noted.statuses == [408]

    run(test())


@pytest.mark.parametrize("head", [post(10_000_000), CHUNKED + b"989680\r\n"])
def test_an_early_answer_ends_the_connection_when_much_is_still_to_come(head: bytes) -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, 200, b"early")

        connection = pipe(app, Noted().guard())
        await connection.say(head, b"a" * 70_000)
        assert statuses(connection) == [200]
        assert connection.ended
        await connection.say(b"a" * 100_000)
        assert not connection.closed  # what comes is dropped, so that the answer is not lost in a reset

    run(test())


# ------------------------------------------------------------------ one request at a time


def test_a_request_behind_another_waits_for_its_answer() -> None:
    async def test() -> None:
        slow = Slow()
        connection = pipe(slow, Noted().guard())
        await connection.say(GET + NEXT)
        assert slow.begun == 1
        slow.go.set()
        await connection.settle()
        assert [each.body for each in answers(bytes(connection.out))] == [b"/a", b"/next"]

    run(test())


def test_a_client_that_pipelines_more_than_a_head_is_not_read_any_more() -> None:
    async def test() -> None:
        slow = Slow()
        connection = pipe(slow, Noted().guard())
        await connection.say(GET, *[b"POST /b HTTP/1.1\r\n" + HOST + b"Content-Length: 9999999\r\n\r\n"] * 1000)
        assert connection.paused
        assert len(connection.protocol._held) < 40_000

    run(test())


def test_bytes_in_one_piece_behind_a_chunked_body_are_no_request() -> None:
    async def test() -> None:
        for behind in (NEXT, b"\0garbage"):
            shop = Shop()
            connection = pipe(shop, Noted().guard())
            await connection.say(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + behind)
            [answered] = answers(bytes(connection.out))
            assert (answered.status, answered.header(b"connection")) == (200, b"close")
            assert shop.targets == [b"/a"]
            assert connection.closed

    run(test())


def test_a_request_in_the_next_piece_behind_a_chunked_body_is_one() -> None:
    async def test() -> None:
        shop = Shop()
        connection = pipe(shop, Noted().guard())
        await connection.say(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", NEXT)
        assert shop.targets == [b"/a", b"/next"]

    run(test())


def test_after_connection_close_nothing_is_kept() -> None:
    async def test() -> None:
        slow = Slow()
        connection = pipe(slow, Noted().guard())
        await connection.say(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), NEXT * 1000)
        assert not connection.protocol._held
        slow.go.set()
        await connection.settle()
        assert connection.state == "closed"

    run(test())


# ------------------------------------------------------------------ who leaves


def test_an_app_is_cancelled_when_its_client_leaves() -> None:
    async def test() -> None:
        for app in (Slow(), Streaming()):
            noted = Noted()
            connection = pipe(app, noted.guard())
            await connection.say(GET)
            connection.leave()
            await connection.settle()
            assert app.cancelled == 1
            assert not noted.faults
            assert not connection.protocol.tasks

    run(test())


def test_an_app_that_looks_sees_the_client_leave() -> None:
    async def test() -> None:
        seen: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            try:
                await receive()
            except asyncio.CancelledError:
                seen.append((await receive())["type"])

        connection = pipe(app, Noted().guard())
        await connection.say(GET)
        connection.leave()
        await connection.settle()
        assert seen == ["http.disconnect"]

    run(test())


def test_a_client_that_leaves_in_its_body_reaches_nobody_or_is_seen_to_have_left() -> None:
    async def test() -> None:
        shop = Shop()
        connection = pipe(shop, Noted().guard())
        await connection.say(post(100), b"abc")
        connection.leave()
        await connection.settle()
        assert not shop.called
        longer = Shop()
        connection = pipe(longer, Noted().guard())
        await connection.say(post(1_000_000), b"a" * 100_000)
        connection.leave()
        await connection.settle()
        assert longer.called == 1
        assert not longer.reached

    run(test())


def test_nothing_is_written_to_a_client_that_has_left() -> None:
    async def test() -> None:
        done: list[bool] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await answer(send)
                done.append(True)

        connection = pipe(app, Noted().guard())
        await connection.say(GET)
        connection.leave()
        await connection.settle()
        assert done == [True]
        assert not connection.out

    run(test())


# ------------------------------------------------------------------ failing and cutting


@pytest.mark.parametrize("headers", [(), ((b"content-length", b"9"),)], ids=["chunked", "with a length"])
def test_an_answer_that_is_cut_short_is_visibly_incomplete_and_nobody_logs_it(
    headers: tuple[tuple[bytes, bytes], ...], caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            raise CutShort

        noted = Noted()
        connection = pipe(app, noted.guard())
        await connection.say(GET)
        [cut] = answers(bytes(connection.out))
        assert (cut.body, cut.complete) == (b"first", False)
        assert connection.aborted
        assert not noted.faults
        assert not caplog.records

    run(test())  # fmt: skip


def test_an_answer_cut_before_its_head_is_no_answer() -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise CutShort

        connection = pipe(app, Noted().guard())
        await connection.say(GET)
        assert connection.closed
        assert not connection.out

    run(test())


def test_an_app_that_fails_before_its_head_gives_a_page_of_ours_that_is_no_500() -> None:
    async def test() -> None:
        async def fails(scope: Any, receive: Any, send: Any) -> None:
            raise ValueError("a bug")

        async def forgets(scope: Any, receive: Any, send: Any) -> None:
            pass

        for app in (fails, forgets):
            noted = Noted()
            connection = pipe(app, noted.guard())
            await connection.say(GET)
            [page] = answers(bytes(connection.out))
            assert (page.status, page.complete, page.header(b"connection")) == (502, True, b"close")
            assert b"bug" not in page.body
            assert len(noted.faults) == 1

    run(test())


def test_an_app_that_fails_after_its_head_is_cut() -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise ValueError("a bug")

        noted = Noted()
        connection = pipe(app, noted.guard())
        await connection.say(GET)
        [cut] = answers(bytes(connection.out))
        assert not cut.complete
        assert connection.aborted
        assert len(noted.faults) == 1

    run(test())


# ------------------------------------------------------------------ stopping


def test_a_stop_finishes_what_is_at_work_and_closes_what_is_idle() -> None:
    async def test() -> None:
        slow = Slow()
        guard = Noted().guard()
        busy, idle, half = (pipe(slow, guard) for _ in range(3))
        await busy.say(GET)
        await half.say(GET[:20])
        guard.drain()
        assert guard.close_idle() == 2
        assert idle.closed
        await half.say(GET[20:])
        slow.go.set()
        await busy.settle()
        for connection in (busy, half):
            [answered] = answers(bytes(connection.out))
            assert (answered.status, answered.header(b"connection")) == (200, b"close")
            assert connection.closed
        assert guard.connections == 0

    run(test())


def test_an_idle_connection_may_bring_a_last_request_while_a_stop_waits() -> None:
    async def test() -> None:
        guard = Noted().guard()
        connection = pipe(Shop(), guard)
        await connection.say(GET)
        guard.drain()
        await connection.say(NEXT)
        assert [each.header(b"connection") for each in answers(bytes(connection.out))] == [None, b"close"]
        assert connection.closed

    run(test())


def test_a_clock_goes_on_when_one_connection_fails_under_it() -> None:
    async def test() -> None:
        noted = Noted()
        guard = noted.guard(replace(Limits(), header_seconds=1))
        broken, fine = pipe(Shop(), guard), pipe(Shop(), guard)
        broken.get_write_buffer_size = None  # type: ignore[assignment,method-assign]
        guard.tick(0)
        assert broken.aborted
        assert len(noted.faults) == 1
        await broken.settle()
        guard.tick(1)
        assert fine.closed

    run(test())


def test_a_body_is_handed_on_as_it_comes_and_reading_waits_for_the_app() -> None:
    async def test() -> None:
        chunks: list[int] = []
        go = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await go.wait()
            while True:
                message = await receive()
                chunks.append(len(message["body"]))
                if not message["more_body"]:
                    break
            await answer(send)

        connection = pipe(app, Noted().guard())
        await connection.say(post(300_000), b"a" * 100_000)
        connection.feed(b"a" * 100_000)
        connection.feed(b"a" * 100_000)
        assert connection.paused
        assert len(connection.protocol.cycle.body) == 100_000
        go.set()
        await connection.settle()
        assert sum(chunks) == 300_000
        assert statuses(connection) == [200]

    run(test())


def test_the_scope_has_the_target_as_it_came_and_asgi_s_own_parts() -> None:
    async def test() -> None:
        scopes: list[dict[str, Any]] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scopes.append(scope)
            await body_of(receive)
            await answer(send)

        connection = pipe(app, Noted().guard(), peer="192.0.2.7")
        await connection.say(
            b"GET /caf\xe9/%C3%A9%2f?q=\xff HTTP/1.1\r\n" + HOST + b"\r\n", b"GET /b? HTTP/1.0\r\n\r\n"
        )
        first, second = scopes
        assert first["extensions"]["edgeproxy.target"]["target"] == b"/caf\xe9/%C3%A9%2f?q=\xff"
        assert (first["raw_path"], first["query_string"]) == (b"/caf\xe9/%C3%A9%2f", b"q=\xff")
        assert first["path"] == "/caf\xe9/\xe9/"
        assert (first["http_version"], first["method"], first["scheme"]) == ("1.1", "GET", "http")
        assert first["client"] == ("192.0.2.7", 50000)
        assert first["headers"] == [(b"host", b"shop.test")]
        assert second["extensions"]["edgeproxy.target"]["target"] == b"/b?"
        assert second["http_version"] == "1.0"

    run(test())
