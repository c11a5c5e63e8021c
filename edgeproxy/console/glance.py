"""What the console's pages are made of: everything known at one moment, and what each page takes of it.

Here: ``Glance`` and, for each page, the values that its template shows.  Not here: addresses and who may ask
(``site``), judgements (``states``, ``figures``), HTML (``templates/console``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from edgeproxy.console import drawing, figures, showing, states
from edgeproxy.console.overview import Rules, Workers
from edgeproxy.console.telling import Telling
from edgeproxy.core import schedule
from edgeproxy.core.coverage import status_at
from edgeproxy.counters import Export
from edgeproxy.history import APPLIED, DAY, HOUR, PAGES, Past, Window
from edgeproxy.sheet.model import Wish

_NEWEST: Final = 8  # decisions on the first page
_MONTHS: Final = 3  # of the calendar
_FAR: Final = 24  # months that the calendar goes back and forth


@dataclass(frozen=True, slots=True)
class Glance:
    """Everything that pages are made of, at one moment."""

    now: float
    book: Mapping[str, Any]  # ``bookview.view``; {}: no rules are live
    past: Past
    numbers: Export
    rules: Rules
    workers: Workers

    @property
    def telling(self) -> Telling:
        """Words for moments, in the shop's timezone."""
        return Telling(self.now, schedule.zone(self.book.get("timezone", "UTC")))

    @property
    def troubles(self) -> tuple[states.Trouble, ...]:
        """What stands at the top of every page."""
        serving, wanted = self.workers.serving, self.workers.wanted
        missing = f"{serving} of {wanted} workers serve; others are being started" if serving < wanted else ""
        return states.troubles(
            good=self.rules.good,
            live=self.rules.live,
            problems=self.rules.problems,
            numbers=self.numbers,
            past=self.past,
            slots=self.book.get("slots", ()),
            now=self.now,
            workers=missing,
        )


# --------------------------------------------------------------------------- pages


def _window(query: QueryParams) -> Window:
    return DAY if query.get("over") == "day" else HOUR


def today(seen: Glance, query: QueryParams) -> dict[str, Any]:
    """Experiences with how often they matched, times, and the newest decisions."""
    window = _window(query)
    hour = seen.past.total(APPLIED, seen.now, HOUR)
    lanes = seen.past.total(PAGES, seen.now, HOUR)
    by_lane = [seen.past.series(PAGES, lane, seen.now, window) for lane in seen.past.total(PAGES, seen.now, window)]
    pages = [sum(step) for step in zip(*by_lane, strict=True)]
    rows = [
        {
            **one,
            "hour": hour.get(one["name"], 0),
            "spark": drawing.bars(seen.past.series(APPLIED, one["name"], seen.now, window), 120, 28),
            "total": sum(seen.past.series(APPLIED, one["name"], seen.now, window)),
            "last": seen.past.seen.get(one["name"]),
        }
        for one in seen.book.get("experiences", ())
    ]
    for row in rows:
        if row["status"] != "off":  # what the rules come to may have been worked out some minutes ago
            row["status"] = status_at(row["begins"], row["ends"], seen.now)
    order = ("live", "waits", "over", "off")
    rows.sort(key=lambda row: order.index(row["status"]))
    total = sum(lanes.values())
    return {
        "window": window.words,
        "rows": rows,
        "counts": {status: sum(row["status"] == status for row in rows) for status in order},
        "pages": {
            "hour": total,
            "changed": sum(number for lane, number in lanes.items() if lane != "pass"),
            "spark": drawing.bars(pages, 120, 28),
        },
        "times": _times(seen.numbers),
        "began": _began(seen.numbers),
        "newest": seen.past.tail[:_NEWEST],
        "why": _why(seen),
    }


def _times(numbers: Export) -> dict[str, tuple[float, float] | None]:
    names = {"total": "edgeproxy_request_seconds", "shop": "edgeproxy_origin_seconds", "edge": "edgeproxy_edge_seconds"}
    return {name: figures.pages(numbers, metric) for name, metric in names.items()}


def _began(numbers: Export) -> float | None:
    return figures.value(numbers, "edgeproxy_start_seconds") or None


def slots(seen: Glance, query: QueryParams) -> dict[str, Any]:
    """Each slot with how it fares, the lost ones first."""
    window = _window(query)
    rows = []
    for slot in seen.book.get("slots", ()):
        state = states.slot_state(seen.past, slot["name"], seen.now, window, enabled=slot["enabled"])
        found, lost = drawing.rates(state.steps, 240, 32)
        rows.append({**slot, "state": state, "drawn_found": found, "drawn_lost": lost})
    order = ("lost", "never", "patchy", "good", "unseen", "off")
    rows.sort(key=lambda row: order.index(row["state"].kind))
    return {"window": window.words, "rows": rows}


def coverage(seen: Glance, query: QueryParams) -> dict[str, Any]:
    """Audience × slot."""
    return {"coverage": seen.book.get("coverage")}


def calendar(seen: Glance, query: QueryParams) -> dict[str, Any]:
    """Schedules over some months, with collisions and gaps; ``months`` moves them."""
    zone = seen.telling.zone
    try:
        shift = max(-_FAR, min(_FAR, int(query.get("months", "0"))))
    except ValueError:
        shift = 0
    start = drawing.month_after(seen.now, zone, shift)
    stop = drawing.month_after(start, zone, _MONTHS)
    experiences = list(seen.book.get("experiences", ()))
    spans = [
        {**one, "span": drawing.span(one["begins"], one["ends"], start, stop)}
        for one in experiences
        if one["status"] != "off"
    ]
    spans.sort(key=lambda one: (one["begins"] is None and one["ends"] is None, one["begins"] or 0))
    clashes = [
        {**one, "span": drawing.span(one["begins"], one["ends"], start, stop)}
        for one in seen.book.get("collisions", ())
    ]
    gaps = [{**one, "span": drawing.span(one["begins"], one["ends"], start, stop)} for one in seen.book.get("gaps", ())]
    busy = dict.fromkeys([one["slot"] for one in clashes if one["scheduled"]] + [one["slot"] for one in gaps])
    lines = [
        {
            "name": slot,
            "takers": [one for one in spans if slot in one["takes"] and one["span"]],
            "clashes": [one for one in clashes if one["slot"] == slot and one["scheduled"] and one["span"]],
            "gaps": [one for one in gaps if one["slot"] == slot and one["span"]],
        }
        for slot in busy
    ]
    today = drawing.span(seen.now, seen.now + 1, start, stop)
    return {
        "months": drawing.months(start, _MONTHS, zone),
        "spans": spans,
        "lines": lines,
        "clashes": clashes,
        "gaps": gaps,
        "today": today.x if today else None,
        "shift": shift,
        "far": _FAR,
        "width": drawing.WIDTH,
    }


def live(seen: Glance, query: QueryParams) -> dict[str, Any]:
    """The last decisions, those after a moment if one is said."""
    try:
        after = float(query.get("after", "0"))
    except ValueError:
        after = 0.0
    return {"tail": [one for one in seen.past.tail if one["ended"] > after], "why": _why(seen)}


def _why(seen: Glance) -> Callable[[Mapping[str, Any]], str]:
    """The address that explains a remembered decision; "" where none can."""

    def address(decided: Mapping[str, Any]) -> str:
        query = showing.explain_query(decided, f"{datetime.fromtimestamp(decided['at'], seen.telling.zone):%FT%T}")
        return "" if query is None else "/explain?" + urlencode(query)

    return address


def explain(seen: Glance, query: QueryParams) -> dict[str, Any]:
    """The form that asks why."""
    said = query
    return {
        "page": said.get("page", ""),
        "persona": said.get("persona", ""),
        "stage": said.get("stage", ""),
        "chosen": said.getlist("segment"),
        "at": said.get("at", ""),
        "trouble": "",
    }


def sheet(seen: Glance, query: QueryParams) -> dict[str, Any]:
    """The form that asks for a contact sheet."""
    return {"wish": Wish(("/",), ()), "lasts": "7d", "troubles": (), "link": "", "until": 0.0, "terms": showing.LASTS}


def speed(seen: Glance, query: QueryParams) -> dict[str, Any]:
    """Lanes, caches, visitors, workers."""
    return {
        "lanes": figures.lanes(seen.numbers),
        "times": _times(seen.numbers),
        "figures": figures.figures(seen.numbers),
        "visitors": list(figures.rows(seen.numbers, "edgeproxy_visitors_total")),
        "refusals": list(figures.rows(seen.numbers, "edgeproxy_refusals_total")),
        "memory": list(figures.rows(seen.numbers, "edgeproxy_worker_resident_bytes")),
        "connections": figures.value(seen.numbers, "edgeproxy_connections"),
        "began": _began(seen.numbers),
    }
