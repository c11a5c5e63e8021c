"""Raw requests → our answer, and exactly what reaches the shop: tests/cases/requests/*.toml.

A case has ``send`` (text, one character a byte) or ``head`` (lines, joined by CR LF) and ``body``; ``answer``, the
statuses that come back; ``shop``, the requests that reach it, a line each: method and target, the header lines, an
empty line and the body if there is one.  Lines that every request gets are left out of ``shop`` unless the case says
``whole``.  Each case is sent whole, cut in two at every byte, and byte by byte: the result is the same.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from edgeproxy.sanitise import Sanitiser
from edgeproxy.settings import METHODS
from tests.server.apps import Shop, written
from tests.server.wire import Noted, answers, pipe, run, serving

FOLDER = Path(__file__).parents[1] / "cases" / "requests"
MOST_CUTS = 40  # of a long case: the first and last bytes, and evenly between


@dataclass(frozen=True)
class Case:
    name: str
    send: bytes
    answer: list[int]
    shop: list[list[str]]
    whole: bool
    trusted: bool
    settings: dict[str, Any]
    limit: str | None

    def sanitiser(self) -> Sanitiser:
        trust = [ip_network("127.0.0.1"), ip_network("10.0.0.0/8")] if self.trusted else []
        return Sanitiser(trust=trust, **self.settings)


def cases() -> list[Case]:
    found = []
    for file in sorted(FOLDER.glob("*.toml")):
        table = tomllib.loads(file.read_text("utf-8"))
        for row in table.pop("case"):
            row = {**table, **row}
            send = row.get("send")
            if send is None:
                send = "\r\n".join(row["head"]) + "\r\n\r\n" + row.get("body", "")
            shop = row.get("shop", [])
            names = ("hosts", "origin", "origin_host", "country_header", "via")
            settings = {name: row[name] for name in names if name in row}
            if "methods" in row:
                settings["methods"] = METHODS | set(row["methods"])
            found.append(
                Case(
                    f"{file.stem}: {row['it']}",
                    send.encode("latin-1"),
                    row["answer"] if isinstance(row["answer"], list) else [row["answer"]],
                    shop if not shop or isinstance(shop[0], list) else [shop],
                    row.get("whole", False),
                    row.get("trusted", False),
                    settings,
                    row.get("limit"),
                )
            )
    return found


CASES = cases()


def reached(case: Case, shop: Shop) -> list[list[str]]:
    """What came to the shop, as the case writes it."""
    found = []
    for head, body in shop.reached:
        lines = written(head)
        if not case.whole:
            host = next(value for name, value in head.headers if name == b"x-forwarded-host").decode()
            usual = {"x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", f"x-forwarded-host: {host}"}
            usual |= {"x-request-id: *", "cdn-loop: edgeproxy", f"content-length: {len(body)}"}
            assert usual - {f"content-length: {len(body)}"} <= set(lines)
            lines = [line for line in lines if line not in usual]
        found.append([*lines, "", body.decode("latin-1")] if body else lines)
    return found


async def outcome(case: Case, pieces: list[bytes]) -> tuple[list[int], list[list[str]], list[str]]:
    """Statuses of the answers, what reached the shop, limits that were hit."""
    shop = Shop(case.sanitiser())
    noted = Noted()
    connection = pipe(shop, noted.guard())
    out = await connection.say(*pieces)
    connection.leave()
    await connection.settle()
    assert not noted.faults
    return [each.status for each in answers(out)], reached(case, shop), [limit for limit in noted.limits if limit]


def expected(case: Case) -> tuple[list[int], list[list[str]], list[str]]:
    return case.answer, case.shop, [case.limit] if case.limit else []


def test_no_two_cases_have_one_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 100


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sent_whole(case: Case) -> None:
    assert run(outcome(case, [case.send])) == expected(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_cut_in_two_anywhere_and_byte_by_byte(case: Case) -> None:
    size = len(case.send)
    cuts = sorted({*range(1, min(30, size)), *range(max(1, size - 30), size), *range(1, size, size // MOST_CUTS + 1)})

    async def test() -> None:
        for cut in cuts:
            assert await outcome(case, [case.send[:cut], case.send[cut:]]) == expected(case), cut
        if size < 2000:
            assert await outcome(case, [case.send[n : n + 1] for n in range(size)]) == expected(case), "byte by byte"

    run(test())


def test_over_real_sockets() -> None:
    """The same over TCP: what a client reads."""
    shop = Shop()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await shop(scope, receive, send)

    async def test() -> None:
        nonlocal shop
        async with serving(app) as served:
            for case in CASES:
                shop = Shop(case.sanitiser())
                reader, writer = await served.connect()
                writer.write(case.send)
                if not case.answer:
                    writer.write_eof()  # it waits for more, and none comes
                data = b""
                while len(found := answers(data)) < max(1, len(case.answer)) or not found[-1].complete:
                    more = await reader.read(65536)
                    if not more:
                        break
                    data += more
                writer.close()
                assert [each.status for each in answers(data)] == case.answer, case.name
                assert reached(case, shop) == case.shop, case.name

    run(test())
