"""Autobahn|Testsuite, the field's conformance suite of WebSocket, finds the same peer through the proxy as directly.

A choice of its cases that takes seconds; all 517: ``python -m tests.autobahn``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests import autobahn
from tests.fronts import proxy

pytestmark = pytest.mark.anyio

# Framing, pings, reserved bits, opcodes, fragments, UTF-8, closes; of limits and permessage-deflate some of each kind.
CASES = (
    *("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.1.4", "9.2.4", "9.3.4", "9.4.4", "9.5.6", "9.7.6", "10.*"),
    *("12.1.1", "12.2.2", "12.3.3", "13.1.1", "13.3.2", "13.4.1", "13.5.3", "13.7.1"),
)
HOW_MANY = 261


async def test_the_suite_judges_a_server_alike() -> None:
    async with autobahn.echo_server() as port, proxy(port, hosts=()) as front:

        async def judged(cases: Sequence[str], /, *, proxied: bool) -> autobahn.Verdicts:
            return await autobahn.as_visitor(f"ws://127.0.0.1:{front.port if proxied else port}/", cases)

        direct, found = await autobahn.differences(judged, CASES)
        assert sum(front.ended().values()) >= len(direct) == HOW_MANY
        assert set(front.ended()) <= {"closed", "shop", "visitor"}
    assert found == []
    assert sum(each["messages"] == each["close"] == "OK" for each in direct.values()) > 240


async def test_the_suite_judges_a_client_alike() -> None:
    """Here it is the shop that sends what is hard to bear."""

    async def judged(cases: Sequence[str], /, *, proxied: bool) -> autobahn.Verdicts:
        async with autobahn.as_shop(cases) as (port, verdicts), asyncio.timeout(100):
            if not proxied:
                await autobahn.every_case(f"ws://127.0.0.1:{port}")
                return await verdicts
            async with proxy(port, hosts=()) as front:
                await autobahn.every_case(f"ws://127.0.0.1:{front.port}")
                return await verdicts

    direct, found = await autobahn.differences(judged, CASES)
    assert found == []
    assert sum(each["messages"] == each["close"] == "OK" for each in direct.values()) > 240
