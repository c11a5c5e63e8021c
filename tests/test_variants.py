"""Variants kept: every coding is the page with its edits; the same tag means the same bytes; bounded in memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.content_coding import BEST, CODINGS, SMALLEST, accepted, best, decode
from edgeproxy.html.model import Splice
from edgeproxy.html.render import render
from edgeproxy.plans import digest_of
from edgeproxy.variants import MOST_AT_WORK, STITCHED_FROM, Coded, Variant, Variants, identify

SMALL = b"<main>" + b"<p>lorem ipsum</p>" * 100 + b"</main>"
LARGE = b"<main>" + b"".join(b"<p>lorem %d ipsum</p>" % n for n in range(4000)) + b"</main>"
EDITS = (Splice(6, 24, b"<b>new</b>"), Splice(100, 100, b"more"))
BROWSER = b"gzip, deflate, br, zstd"


class Later(Executor):
    """Runs what it was given when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], Any]] = []
        self.ended = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.ended:
            raise RuntimeError("cannot schedule new futures after shutdown")
        self.waiting.append(lambda: fn(*args, **kwargs))
        return Future()

    def run(self) -> int:
        """Do all of it; how much there was."""
        work, self.waiting = self.waiting, []
        for one in work:
            one()
        return len(work)


def clear(coded: Coded) -> bytes:
    return decode([(b"content-encoding", coded.coding.encode())] if coded.coding else [], coded.data, limit=1 << 24)


class Kept:
    """Variants of one page, asked as visitors do."""

    def __init__(self, body: bytes = SMALL, limit: int = 1 << 24) -> None:
        self.body, self.digest, self.later = body, digest_of(body), Later()
        self.variants = Variants(self.later, limit)

    def variant(self, splices: tuple[Splice, ...] = EDITS) -> Variant:
        key = identify(self.digest, splices)
        return self.variants.get(key) or self.variants.add(key, splices, render(self.body, splices))

    def ask(self, accepts: bytes | None = BROWSER, splices: tuple[Splice, ...] = EDITS) -> Coded:
        return self.variants.coded(self.variant(splices), self.digest, lambda: self.body, accepts)


ACCEPTS = st.sampled_from([b"", b"gzip", b"br", b"zstd;q=0.5, gzip;q=0.1", BROWSER, b"identity", b"gzip;q=0"])


@given(st.lists(st.tuples(ACCEPTS, st.integers(0, 2), st.booleans()), max_size=12), st.booleans())
def test_whoever_asks_gets_the_page_with_its_edits_and_a_tag_that_is_of_these_bytes(
    asked: list[tuple[bytes, int, bool]], large: bool
) -> None:
    body = LARGE if large else SMALL
    kept, seen = Kept(body), dict[bytes, bytes]()
    for accepts, edits, work in asked:
        coded = kept.ask(accepts, EDITS[:edits])
        assert clear(coded) == render(body, EDITS[:edits])
        assert coded.coding in {accepted(accepts, BEST), accepted(accepts, CODINGS)}
        if not coded.etag.startswith(b"W/"):  # a weak one is of these bytes in the clear (RFC 9110, 8.8.1)
            assert seen.setdefault(coded.etag, coded.data) == coded.data
        if work:
            kept.later.run()


def test_the_first_gets_the_cheap_coding_and_later_ones_the_best_that_was_made_once() -> None:
    kept = Kept()
    first = kept.ask()
    assert (first.coding, first.made, kept.later.run()) == ("gzip", "cheap", 0), "nobody came twice"
    assert [kept.ask() for _ in range(50)] == [first] * 50
    assert kept.later.run() == 1, "one at a time"
    later = kept.ask()
    assert (later.coding, later.made, later.data) == ("br", "best", best(render(SMALL, EDITS), "br"))
    assert kept.ask(b"gzip;q=0.5, zstd;q=0.1").made == "cheap"
    kept.ask(b"gzip")
    assert kept.later.run() == 1
    assert (kept.ask(b"gzip").made, kept.ask().coding, kept.later.run()) == ("best", "br", 0)


def test_first_seen_edits_of_a_large_page_are_stitched() -> None:
    kept = Kept(LARGE)
    assert len(LARGE) > STITCHED_FROM
    assert kept.ask().made == "stitched"
    assert kept.ask(splices=()).made == "stitched"
    assert kept.ask(b"zstd", splices=EDITS[:1]).made == "cheap"
    assert (kept.variants.stitched, kept.variants.compressed) == (2, 1)


def test_a_page_of_a_few_bytes_is_not_compressed() -> None:
    body = b"x" * (SMALLEST - 1)
    kept = Kept(body)
    assert (kept.ask(splices=()).coding, kept.ask(splices=()).data) == ("", body)


def test_a_variant_is_its_page_and_its_edits() -> None:
    one, other = digest_of(SMALL), digest_of(LARGE)
    edits = [(), EDITS, EDITS[:1], EDITS[1:], (Splice(6, 24, b"<b>new</b>"), Splice(100, 100, b"mor")),
             (Splice(6, 24, b"<b>new</b>100-100-4 more"),)]  # fmt: skip
    keys = {identify(page, splices) for page in (one, other) for splices in edits}
    assert len(keys) == 2 * len(edits)
    assert identify(one, EDITS) == identify(bytes(bytearray(one)), tuple(Splice(s.start, s.end, s.text) for s in EDITS))
    assert identify(one, (), b"whole") != identify(one, ())


def test_no_more_is_kept_than_is_allowed_and_what_was_dropped_is_made_again() -> None:
    kept = Kept(LARGE, limit=120_000)
    numbers = [*range(12), 0, 3]
    for number in numbers:
        splices = (Splice(6, 24, b"%d" % number),)
        for _ in range(3):
            assert clear(kept.ask(splices=splices)) == render(LARGE, splices)
            kept.later.run()
            assert kept.variants.size <= 120_000 + 120_000 // 4
    assert 0 < len(kept.variants) < 12


@pytest.mark.parametrize("limit", [0, 10])
def test_a_worker_that_may_keep_nothing_still_answers(limit: int) -> None:
    kept = Kept(LARGE, limit=limit)
    assert [clear(kept.ask()) for _ in range(3)] == [render(LARGE, EDITS)] * 3
    kept.later.run()
    assert (len(kept.variants), kept.variants.size) == (0, 0)


def test_a_fault_in_the_background_costs_nobody_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(body: bytes, coding: str) -> bytes:
        raise MemoryError

    kept = Kept()
    with monkeypatch.context() as patched:
        patched.setattr("edgeproxy.variants.best", broken)
        kept.ask()
        kept.ask()
        assert kept.later.run() == 1
    assert kept.ask().made == "cheap"
    assert kept.later.run() == 1, "it is tried again"
    assert kept.ask().made == "best"
    kept.later.ended = True
    assert kept.ask(b"zstd").made == "cheap"
    assert kept.ask(b"zstd").made == "cheap"


def test_what_waits_for_its_best_coding_is_bounded_and_the_rest_comes_later() -> None:
    kept = Kept()
    edits = [(Splice(6, 24, b"%d" % number),) for number in range(MOST_AT_WORK + 5)]
    for _ in range(2):
        for splices in edits:
            assert kept.ask(splices=splices).made == "cheap"
    assert kept.later.run() == MOST_AT_WORK
    late = [splices for splices in edits if kept.ask(splices=splices).made == "cheap"]
    assert (len(late), kept.later.run()) == (5, 5)
    assert {kept.ask(splices=splices).made for splices in edits} == {"best"}
