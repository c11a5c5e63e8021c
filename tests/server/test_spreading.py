"""What one worker knows to be old is told the others: all of it, in few messages, whatever becomes of one."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.server.control import Changed, Gone
from edgeproxy.server.spreading import MOST, Spreading, address

pytestmark = pytest.mark.anyio

HOST = b"shop.example"


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_changes_while_a_message_is_on_its_way_is_in_the_next_one() -> None:
    told: list[list[str]] = []
    heard = asyncio.Event()

    async def tell(changed: Changed) -> None:
        told.append(changed.places)
        await heard.wait()

    spreading = Spreading()
    spreading.tell = tell
    for path in (b"/a", b"/a"):
        spreading(HOST, path)
    await settled()
    for path in (b"/b", b"/c", b"/b"):
        spreading(HOST, path)
    await settled()
    assert told == [["shop.example/a"]]
    heard.set()
    await settled()
    assert told == [["shop.example/a"], ["shop.example/b", "shop.example/c"]]
    spreading(HOST, b"/d")
    await settled()
    assert told[2:] == [["shop.example/d"]]


async def test_where_nobody_is_left_the_next_is_told_all_the_same() -> None:
    told: list[Changed] = []

    async def tell(changed: Changed) -> None:
        told.append(changed)
        raise Gone("nobody is there")

    spreading = Spreading()
    spreading(HOST, b"/early")  # nobody to tell yet
    spreading.tell = tell
    for path in (b"/a", b"/b"):
        spreading(HOST, path)
        await settled()
    assert told == [Changed(["shop.example/a"]), Changed(["shop.example/b"])]


async def test_too_many_addresses_are_everything() -> None:
    told: list[Changed] = []

    async def tell(changed: Changed) -> None:
        told.append(changed)

    spreading = Spreading()
    spreading.tell = tell
    for number in range(MOST + 1):
        spreading(HOST, b"/%d" % number)
    await settled()
    assert told == [Changed([])]


@given(st.binary().map(lambda path: b"/" + path))
def test_an_address_arrives_as_it_was(path: bytes) -> None:
    assert address((HOST + path).decode("latin-1")) == (HOST, path)
