"""How far a visitor or the shop may go: every limit, its default, and what it is in words.

Here: ``Limits``, of which flags, ``--help``, the README's table and the names in ``edgeproxy_limits_total`` are made.
Not here: what happens when one is hit (``server``, ``origin``).  Whoever adds one sees to it that it is counted
(``tests/test_limits.py`` hits each of them).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Limits"]


def _limit(default: float, unit: str, says: str, *, of: str = "") -> Any:
    """``of``: the limit that this one is a part of, and is counted as."""
    return field(default=default, metadata={"unit": unit, "says": says, "of": of})


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a visitor or the shop may go.  Bytes, seconds or counts, as the name says; 0 where it says so: none."""

    # the visitor's side
    header_bytes: int = _limit(32 * 1024, "size", "bytes of a request's head")
    header_lines: int = _limit(100, "count", "header lines of a request")
    target_bytes: int = _limit(16 * 1024, "size", "bytes of a request's path and query")
    header_seconds: float = _limit(10, "seconds", "time to a full head, from the connection or its first byte")
    idle_seconds: float = _limit(5, "seconds", "a connection without a request is kept so long")
    idle_trusted_seconds: float = _limit(75, "seconds", "the same for a trusted proxy in front")
    body_bytes: int = _limit(100 * 1024**2, "size", "bytes of a request's body (0: no limit)")
    body_seconds: float = _limit(3600, "seconds", "time to a whole body, at whatever rate it comes")
    rate_bytes: int = _limit(500, "size", "bytes a second that a visitor must send or take")
    rate_seconds: float = _limit(10, "seconds", "the time over which that rate is judged", of="rate_bytes")
    linger_seconds: float = _limit(2, "seconds", "after a refusal, what still comes is read and dropped so long")
    connections: int = _limit(8192, "count", "open connections")
    connections_per_address: int = _limit(
        256, "count", "open connections of one address, or IPv6 network of 64 bits (0: no limit)"
    )
    requests: int = _limit(1024, "count", "requests at work at once; one more is told to come back")
    drain_seconds: float = _limit(30, "seconds", "a stop waits so long for open requests")
    hang_seconds: float = _limit(30, "seconds", "a worker that answers nothing for so long is killed and replaced")
    # the shop's side
    page_bytes: int = _limit(
        2 * 1024**2, "size", "bytes of an HTML page that is rewritten; a longer one passes as it is"
    )
    variants_bytes: int = _limit(
        128 * 1024**2, "size", "memory for stored pages with edits, compressed, in each worker (0: none)"
    )
    plans_bytes: int = _limit(
        16 * 1024**2,
        "size",
        "memory for where slots are in pages that come again; as much again for such pages, and for what they came to; "
        "in each worker (0: none)",
    )
    heads_bytes: int = _limit(
        16 * 1024**2,
        "size",
        "memory for requests that come again, in each worker, so that what is kept is answered sooner (0: none)",
    )
    cache_bytes: int = _limit(
        64 * 1024**2, "size", "memory for pages and files of the shop that many may get, in each worker (0: none)"
    )
    cache_file_bytes: int = _limit(2 * 1024**2, "size", "bytes of a kept answer that is no HTML page")
    origin_connect_seconds: float = _limit(2, "seconds", "time to a connection with the shop")
    origin_answer_seconds: float = _limit(60, "seconds", "time to the shop's answer where it is no page (a payment)")
    origin_idle_seconds: float = _limit(60, "seconds", "longest silence inside an answer that streams")
    origin_rate_bytes: int = _limit(1024, "size", "bytes a second that the shop must send")
    origin_rate_seconds: float = _limit(
        30, "seconds", "the time over which that rate is judged", of="origin_rate_bytes"
    )
    origin_sending_seconds: float = _limit(60, "seconds", "the shop must take some of a request's body within so long")
    origin_header_bytes: int = _limit(64 * 1024, "size", "bytes of an answer's head")
    origin_header_lines: int = _limit(500, "count", "header lines of an answer")
    origin_connections: int = _limit(256, "count", "open connections to each address of the shop")
    origin_connection_seconds: float = _limit(
        300, "seconds", "a connection to the shop is used so long, so that a name that moves is noticed"
    )
    origin_failures: int = _limit(
        5, "count", "failures in a row after which an address of the shop is left out, if it has others"
    )
    origin_out_seconds: float = _limit(
        10, "seconds", "it is left out so long, twice as long the next time…", of="origin_failures"
    )
    origin_out_most_seconds: float = _limit(300, "seconds", "…up to so long", of="origin_failures")
    origin_health_seconds: float = _limit(10, "seconds", "between two checks of the health path, and for each")
    upgrades: int = _limit(512, "count", "upgraded connections (WebSocket) to each address of the shop")
    upgrade_idle_seconds: float = _limit(300, "seconds", "an upgraded connection may be silent so long")
