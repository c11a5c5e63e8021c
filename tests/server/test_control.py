"""The conversation between supervisor and workers: what is sent arrives, what is no message ends it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.server import control
from edgeproxy.server.control import Channel, ControlError, Gone, Message, Unable, decoded, encoded
from tests.server.wire import run

texts = st.text(max_size=40)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)
)
tables = st.dictionaries(texts, plain, max_size=4)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(control.Start, st.integers(), st.integers(), tables, tables, texts),
    st.builds(control.Accept, st.lists(st.integers())),
    st.builds(control.Offer, tables),
    st.builds(control.Judged, texts, st.integers(), st.integers(), st.lists(texts), texts),
    st.builds(control.Settle, st.booleans()),
    st.builds(control.NewKeys, st.lists(texts)),
    st.builds(control.Purge, st.lists(texts), st.lists(texts)),
    st.builds(control.Numbers, tables),
    st.builds(control.Failed, texts),
    st.sampled_from(
        [control.Report(), control.Drain(), control.Hurry(), control.Leaving(), control.Changed([]), control.Done()]
    ),
)


@given(messages, st.integers(0, 2**40), st.booleans())
def test_what_is_written_is_read(message: Message, number: int, answer: bool) -> None:
    frame = encoded(message, number, answer=answer)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert decoded(frame[4:]) == (number, answer, message)


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_no_message(data: bytes) -> None:
    with contextlib.suppress(ControlError):
        decoded(data)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"[]",
        b"null",
        b'{"id":1,"re":false,"kind":"Done"}',
        b'{"id":1,"re":false,"kind":"Exit","body":{}}',
        b'{"id":"1","re":false,"kind":"Done","body":{}}',
        b'{"id":1,"re":0,"kind":"Done","body":{}}',
        b'{"id":1,"re":false,"kind":"Done","body":{"more":1}}',
        b'{"id":1,"re":false,"kind":"Accept","body":{"slots":1}}',
        b'{"id":1,"re":false,"kind":"Accept","body":{"slots":["1"]}}',
        b'{"id":1,"re":false,"kind":"Settle","body":{"take":1}}',
        b'{"id":1,"re":false,"kind":["Done"],"body":{}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_message_is_none(frame: bytes) -> None:
    with pytest.raises(ControlError):
        decoded(frame)


def test_secrets_stand_in_no_repr() -> None:
    secret = "tests-sign-with-this-9f31c2"
    settings = {"keys": {"Keys": [secret]}}
    shown = [control.Start(1, 0, settings, {}, secret), control.NewKeys([secret]), control.NewCertificate(secret)]
    assert secret not in repr(shown)


# ------------------------------------------------------------------ a conversation


async def nothing(message: Message) -> Message:
    raise AssertionError(message)


@contextlib.asynccontextmanager
async def talking(answer: control.Answerer) -> AsyncIterator[tuple[Channel, Channel]]:
    left, right = socket.socketpair()
    one, other = await Channel.over(left, nothing), await Channel.over(right, answer)
    try:
        yield one, other
    finally:
        await one.close()
        await other.close()


def test_questions_are_answered_in_any_order() -> None:
    async def test() -> None:
        first = asyncio.Event()

        async def answer(message: Message) -> Message:
            if isinstance(message, control.Accept):
                await first.wait()
            else:
                first.set()
            return control.Purged(len(getattr(message, "slots", ())))

        async with talking(answer) as (one, _):
            slow = asyncio.create_task(one.ask(control.Accept([1, 2]), control.Purged))
            assert await one.ask(control.Purge([], []), control.Purged) == control.Purged(0)
            assert await slow == control.Purged(2)

    run(test())


def test_a_failure_comes_back_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async def answer(message: Message) -> Message:
            if isinstance(message, control.Report):
                raise ValueError("no numbers today")
            return control.Done()

        async with talking(answer) as (one, _):
            with pytest.raises(Unable, match="no numbers today"):
                await one.ask(control.Report(), control.Numbers)
            with pytest.raises(Unable, match="asked for Numbers, got Done"):
                await one.ask(control.Hurry(), control.Numbers)

    run(test())
    assert "Report could not be done" in caplog.text


def test_who_asks_somebody_that_goes_is_told() -> None:
    async def test() -> None:
        async def never(message: Message) -> Message:
            await asyncio.Event().wait()
            return control.Done()

        async with talking(never) as (one, other):
            asked = asyncio.create_task(one.ask(control.Report(), control.Numbers))
            with pytest.raises(TimeoutError):
                await one.ask(control.Report(), control.Numbers, seconds=0.01)
            await other.close()
            with pytest.raises(Gone):
                await asked
            await one.ended.wait()
            with pytest.raises(Gone):
                await one.ask(control.Report(), control.Numbers)

    run(test())


@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff\xff", b"\0\0\0\x02{}", b"\0\0\0\x0f" + json.dumps({"id": 1})[:15].encode()]
)
def test_a_frame_that_is_none_ends_the_conversation(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        left, right = socket.socketpair()
        one = await Channel.over(left, nothing)
        right.sendall(data)
        right.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(one.ended.wait(), 20)
        right.close()
        await one.close()

    run(test())


def test_a_big_folder_passes_whole() -> None:
    async def test() -> None:
        got: list[Any] = []

        async def answer(message: Message) -> Message:
            got.append(message)
            return control.Done()

        big = control.Offer({"files": {"a.html": "x" * (8 << 20)}})
        async with talking(answer) as (one, _):
            await one.ask(big, control.Done)
        assert got == [big]

    run(test())
