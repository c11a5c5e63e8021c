"""The journal: lines that hold nothing secret, counters that count no preview, and nothing that blocks or raises."""

from __future__ import annotations

import io
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from edgeproxy.accesslog import Again, LogWriter, Served, as_json, as_text, shortened
from edgeproxy.core.visitor import Keys
from edgeproxy.counters import MOST, Counters
from edgeproxy.journal import Journal
from edgeproxy.settings import Settings

KEYS = Keys.parse("tests-sign-with-this-9f31c2")

PLAIN = Served(at=1_780_315_200.25, method="GET", host="shop.test", path="/c/boots", status=200, client="203.0.113.77")
FULL = PLAIN._replace(
    bytes=15342,
    lane="private",
    why="two experiences fit",
    total_ms=12.345,
    origin_ms=10.1,
    edge_ms=0.84,
    request_id="7f3a",
    source="cookie",
    applied=("calm-start", "thanks"),
    outcomes={"placed": 3, "shadowed": 1},
    failed=(("home-hero", "found 2 times, wanted 1"),),
)


def journal(log: str = "text", addresses: str = "short") -> tuple[Journal, io.StringIO]:
    stream = io.StringIO()
    settings = Settings("http://shop.invalid", Path(), KEYS, log=log, log_addresses=addresses)
    return Journal(settings, stream=stream, clock=lambda: 1_780_315_200.0), stream


def numbers(kept: Journal) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Everything of ours in /metrics."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(kept.metrics().decode())
        for sample in family.samples
        if sample.name.startswith("edgeproxy_")
    }


# ------------------------------------------------------------------ lines


def test_a_line_for_people() -> None:
    assert as_text(PLAIN) == '2026-06-01T12:00:00.250Z 203.0.113.0 "GET shop.test/c/boots" 200 0B pass 0.0ms\n'
    assert as_text(FULL) == (
        '2026-06-01T12:00:00.250Z 203.0.113.0 "GET shop.test/c/boots" 200 15342B private 12.3ms shop=10.1ms edge=0.8ms'
        " visitor=cookie applied=calm-start,thanks placed=3 shadowed=1 left=home-hero id=7f3a"
        ' why="two experiences fit"\n'
    )
    ended = as_text(PLAIN._replace(preview=True, fault=True, cut=True, problem="shop: reset"))
    assert ended.endswith(' preview fault cut problem="shop: reset"\n')


def test_a_line_for_machines() -> None:
    assert json.loads(as_json(PLAIN)) == {
        "at": "2026-06-01T12:00:00.250Z",
        "method": "GET",
        "host": "shop.test",
        "path": "/c/boots",
        "status": 200,
        "bytes": 0,
        "lane": "pass",
        "total_ms": 0.0,
        "client": "203.0.113.0",
    }
    full = json.loads(as_json(FULL, short=False))
    assert full["client"] == "203.0.113.77"
    assert full["applied"] == ["calm-start", "thanks"]
    assert full["failed"] == [{"slot": "home-hero", "why": "found 2 times, wanted 1"}]
    assert full["total_ms"] == 12.345


@given(st.text(), st.text(), st.text(), st.lists(st.text(), max_size=3))
def test_a_line_is_one_line_of_plain_characters_whatever_a_visitor_sends(
    path: str, host: str, problem: str, applied: list[str]
) -> None:
    served = PLAIN._replace(path="/" + path, host=host, problem=problem, client=host, applied=tuple(applied))
    for line in (as_text(served), as_json(served), as_text(served, short=True)):
        assert line.endswith("\n")
        assert line[:-1].isascii()
        assert line[:-1].isprintable()
    assert re.fullmatch(r"(?:[^\" ]|\"(?:[^\"\\]|\\.)*\"| (?! ))+", as_text(served)[:-1]), "quotes stand in pairs"
    json.loads(as_json(served))


@pytest.mark.parametrize(
    ("address", "short"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3::4", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("nonsense", "?"),
    ],
)
def test_addresses_are_shortened_to_their_network(address: str, short: str) -> None:
    assert shortened(address) == short


def test_whole_addresses_are_written_when_asked_for() -> None:
    for addresses, shown in (("short", "203.0.113.0"), ("full", "203.0.113.77")):
        kept, stream = journal(addresses=addresses)
        kept.served(PLAIN)
        kept.close()
        assert f" {shown} " in stream.getvalue()


# ------------------------------------------------------------------ the writer


class Stuck(io.StringIO):
    """A pipe that nobody reads until the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.go.wait(30)
        return super().write(text)


def test_a_stream_that_blocks_costs_lines_and_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogWriter, "MOST", 10)
    stream = Stuck()
    writer = LogWriter(stream, as_text)
    writer.put(PLAIN)
    assert stream.entered.wait(30)
    for _ in range(25):
        writer.put(PLAIN)
    assert writer.dropped == 15
    stream.go.set()
    writer.close()
    assert stream.getvalue().count("\n") == 11


def test_a_stream_that_fails_costs_lines_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    class Disk(io.StringIO):
        full = False

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    disk = Disk()
    writer = LogWriter(disk, as_text)
    caplog.set_level("INFO")
    for full in (False, True, True, False, False):
        disk.full = full
        writer.put(PLAIN)
        writer.flush()
    writer.close()
    assert writer.dropped == 2
    assert disk.getvalue().count("\n") == 3
    assert [one.getMessage() for one in caplog.records] == [
        "the access log cannot be written (No space left on device): lines are lost, and counted",
        "the access log is written again; 2 lines were lost so far",
    ]


def test_lines_come_without_being_asked_for_and_in_order() -> None:
    class Told(io.StringIO):
        done = threading.Event()

        def write(self, text: str) -> int:
            written = super().write(text)
            if self.getvalue().count("\n") == 100:
                self.done.set()
            return written

    stream = Told()
    writer = LogWriter(stream, as_text)
    for n in range(100):
        writer.put(PLAIN._replace(status=n))
    assert stream.done.wait(30)
    assert [int(line.split()[4]) for line in stream.getvalue().splitlines()] == list(range(100))
    writer.close()


def test_the_thread_leaves_when_there_is_nothing_to_do_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogWriter, "PAUSE", 0.001)
    monkeypatch.setattr(LogWriter, "QUIET", 1)
    stream = io.StringIO()
    writer = LogWriter(stream, as_text)
    for _ in range(2):
        writer.put(PLAIN)
        thread = writer._thread
        if thread is not None:
            thread.join(30)
            assert not thread.is_alive()
    writer.close()
    assert stream.getvalue().count("\n") == 2


# ------------------------------------------------------------------ counting


def test_a_request_is_counted_by_lane_and_class_with_what_was_done() -> None:
    kept, _ = journal()
    kept.served(FULL)
    kept.served(FULL._replace(status=502, lane="pass", fault=True, cut=True, applied=(), outcomes={}, failed=()))
    found = numbers(kept)
    assert found["edgeproxy_requests_total", (("lane", "private"), ("status", "2xx"))] == 1
    assert found["edgeproxy_requests_total", (("lane", "pass"), ("status", "5xx"))] == 1
    assert found["edgeproxy_response_bytes_total", (("lane", "private"),)] == 15342
    assert found["edgeproxy_request_seconds_bucket", (("lane", "private"), ("le", "0.025"))] == 1
    assert found["edgeproxy_request_seconds_bucket", (("lane", "private"), ("le", "0.01"))] == 0
    assert found["edgeproxy_request_seconds_count", (("lane", "private"),)] == 1
    assert found["edgeproxy_origin_seconds_sum", (("lane", "private"),)] == pytest.approx(0.0101)
    assert found["edgeproxy_edge_seconds_sum", (("lane", "private"),)] == pytest.approx(0.00084)
    assert found["edgeproxy_experiences_applied_total", (("experience", "thanks"),)] == 1
    assert found["edgeproxy_edits_total", (("outcome", "placed"),)] == 3
    reason = (("reason", "found N times, wanted N"), ("slot", "home-hero"))
    assert found["edgeproxy_slots_failed_total", reason] == 1
    assert found["edgeproxy_visitors_total", (("source", "cookie"),)] == 2
    assert found["edgeproxy_faults_total", ()] == 1
    assert found["edgeproxy_cuts_total", ()] == 1


@given(
    st.lists(st.sampled_from([0.0001, 0.01, 0.2, 0.7, 3.0])),
    st.sampled_from([PLAIN, FULL]),
    st.sampled_from(["text", "json"]),
    st.sampled_from(["::1", "203.0.113.9", "", 'no "address"']),
)
def test_answers_that_say_the_same_are_counted_and_logged_as_if_they_came_one_by_one(
    took: list[float], like: Served, log: str, client: str
) -> None:
    one_by_one, written = journal(log)
    together, written_too = journal(log)
    repeated = together.repeats(like)
    for number, ms in enumerate(took):
        each = like._replace(
            at=like.at + number, total_ms=ms, edge_ms=ms, origin_ms=0.0, request_id="7f3a", client=client
        )
        one_by_one.served(each)
        repeated.add(ms / 1000)
        together.log.put(Again(repeated, each.at, each.client, ms, "7f3a"))
        if number == 2:
            assert numbers(together) == pytest.approx(numbers(one_by_one))
    together.settle()
    assert together.history.export()["minutes"] == one_by_one.history.export()["minutes"]
    assert numbers(together) == pytest.approx(numbers(one_by_one))
    one_by_one.close()
    together.close()
    assert written_too.getvalue() == written.getvalue()


def test_a_request_that_nobody_has_named_gets_an_id_in_the_log() -> None:
    kept, stream = journal()
    repeated = kept.repeats(FULL)
    for _ in range(2):
        kept.log.put(Again(repeated, 0.0, "", 0.1))
    kept.close()
    assert len(set(re.findall(r" id=([0-9a-f]{16}) ", stream.getvalue()))) == 2


def test_a_preview_is_logged_and_never_counted() -> None:
    kept, stream = journal()
    before = numbers(kept)
    kept.served(FULL._replace(preview=True))
    assert numbers(kept) == before
    kept.close()
    assert " preview " in stream.getvalue()


def test_refusals_are_counted_by_limit_and_logged_when_they_were_answered() -> None:
    class Refused:
        status, why, limit = 431, "too many header lines", "header_lines"
        asked = ("-", "-", "")

    kept, stream = journal("json")
    kept.refused(Refused(), "203.0.113.9", "7f3a")
    kept.refused(Refused(), "203.0.113.9", "")
    kept.served(PLAIN._replace(status=421, lane="refused", why="a Host that is not served here"))
    kept.served(PLAIN._replace(status=400, lane="refused", why="a fault of ours in the guard", fault=True))
    kept.close()
    found = numbers(kept)
    assert kept.refusals.values == {
        ("431", "header_lines"): 2,
        ("421", "host"): 1,
        ("400", "fault"): 1,
    }
    assert found["edgeproxy_limits_total", (("limit", "header_lines"),)] == 2
    first, second, _ = map(json.loads, stream.getvalue().splitlines())
    assert (first["status"], first["lane"], first["client"], first["request_id"]) == (
        431,
        "refused",
        "203.0.113.0",
        "7f3a",
    )
    assert second["status"] == 421
    assert second["why"] == "a Host that is not served here"


def test_why_requests_are_turned_away_is_told_in_few_words_and_limits_are_limits() -> None:
    class Refused:
        status, limit = 400, ""
        asked = ("-", "-", "")

        def __init__(self, why: str, limit: str = "") -> None:
            self.why, self.limit = why, limit

    kept, _ = journal()
    for number in range(50):
        kept.refused(Refused(f"expected a token at {number}"), "203.0.113.9", "7f3a")
    kept.refused(Refused("no PROXY header", "proxy_protocol"), "203.0.113.9", "")
    kept.close()
    assert kept.refusals.values == {("400", "malformed"): 50, ("400", "proxy_protocol"): 1}
    assert kept.limits.values == {}, "it is no limit that could be set"


def test_the_rules_that_are_live_are_told() -> None:
    class Book:
        version = "0123456789ab"

    kept, _ = journal()
    book: Any = Book()
    assert numbers(kept)["edgeproxy_rules_good", ()] == 0
    kept.rules(book, ok=True)
    kept.rules(book, ok=False)
    found = numbers(kept)
    assert found["edgeproxy_rules_info", (("version", "0123456789ab"),)] == 1
    assert found["edgeproxy_rules_good", ()] == 0
    assert found["edgeproxy_rules_loads_total", (("result", "live"),)] == 1
    assert found["edgeproxy_rules_loads_total", (("result", "refused"),)] == 1


def test_a_fault_is_logged_with_its_traceback_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    kept, _ = journal()
    kept.fault(ValueError("a bug"))
    assert numbers(kept)["edgeproxy_faults_total", ()] == 1
    [record] = caplog.records
    assert record.exc_info is not None


def test_a_slot_that_is_not_trusted_any_more_is_counted() -> None:
    kept, _ = journal()
    kept.distrusted("home-hero", "/", "its range is another element's")
    assert numbers(kept)["edgeproxy_slots_distrusted_total", (("slot", "home-hero"),)] == 1


def test_a_journal_that_fails_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, _ = journal()
    nothing: Any = None
    broken = PLAIN._replace(status=nothing)
    kept.served(broken)
    monkeypatch.setattr(kept.log, "put", None)
    kept.served(PLAIN)
    refused: Any = object()
    kept.refused(refused, "", "")


def test_label_values_from_outside_are_bounded() -> None:
    counters = Counters()
    counter = counters.counter("made_total", "Made up", "name")
    for n in range(MOST + 100):
        counter.add(str(n))
    assert counter.get("other") == 100
    assert len(counter.values) == MOST + 1


def test_a_name_is_counted_once() -> None:
    counters = Counters()
    counters.counter("made_total", "Made up")
    with pytest.raises(ValueError, match="made_total"):
        counters.histogram("made_total", "Made up")


def test_the_counts_of_several_processes_are_summed() -> None:
    first, _ = journal()
    second, _ = journal()
    first.served(FULL)
    second.served(FULL)
    second.served(PLAIN)
    total, _ = journal()
    for each in (first, second):
        total.counters.add_snapshot(json.loads(json.dumps(each.counters.snapshot())))
    found = numbers(total)
    assert found["edgeproxy_requests_total", (("lane", "private"), ("status", "2xx"))] == 2
    assert found["edgeproxy_requests_total", (("lane", "pass"), ("status", "2xx"))] == 1
    assert found["edgeproxy_request_seconds_count", (("lane", "private"),)] == 2
    assert found["edgeproxy_edits_total", (("outcome", "placed"),)] == 6


def test_the_process_itself_is_measured() -> None:
    kept, _ = journal()
    assert b"process_resident_memory_bytes" in kept.metrics()
    assert b"python_gc_collections_total" in kept.metrics()
