"""The supervisor's decisions, with workers that only pretend: who is told what, in which order, and who comes next."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from edgeproxy.accesslog import Served
from edgeproxy.console.overview import Rules, Workers
from edgeproxy.core.visitor import Keys
from edgeproxy.counters import LIMITS, Counters, summed
from edgeproxy.history import APPLIED, HOUR, History
from edgeproxy.rulebook import Contents
from edgeproxy.server import control, supervisor
from edgeproxy.server.child import Child
from edgeproxy.server.control import Channel, Message
from edgeproxy.server.supervise import usable_cores
from edgeproxy.server.supervisor import CannotStart, Supervisor
from edgeproxy.settings import Limits, Settings
from tests.server.wire import run

KEYS = Keys.parse("tests-sign-with-this-9f31c2")


class Process:
    """What asyncio gives for a child process, as far as it is used."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        return await asyncio.shield(self.code)

    def end(self, code: int) -> None:
        if not self.code.done():
            self.code.set_result(code)

    def kill(self) -> None:
        self.end(-9)


@dataclass
class Pretender:
    """One pretended worker: what it was asked, and how it answers."""

    slot: int
    process: Process
    theirs: Channel | None = None
    asked: list[Message] = field(default_factory=list)
    version: str = "good"
    deaf: bool = False
    served: int = 0
    past: History = field(default_factory=History)

    @property
    def slots(self) -> list[int]:
        """Whom it accepts for."""
        return next((each.slots for each in reversed(self.asked) if isinstance(each, control.Accept)), [])

    def kinds(self) -> list[str]:
        return [type(each).__name__ for each in self.asked if not isinstance(each, control.Report)]

    async def answer(self, message: Message) -> Message:
        self.asked.append(message)
        if self.deaf:
            await asyncio.Event().wait()
        match message:
            case control.Start() | control.Offer():
                bad = "bad.toml" in message.rules["files"]
                version = "" if bad else self.version
                return control.Judged(version, 1, 0 if version else 1, [] if version else ["rules/bad.toml: bad"])
            case control.Report():
                return control.Numbers(self.numbers())
            case control.Look():
                return control.Seen(self.past.export())
            case control.Show(asked):
                return control.Shown({"html": f"{asked['page']} by {self.slot}"})
            case control.Survey(at):
                return control.Surveyed({"version": self.version, "at": at})
            case control.Drain():
                asyncio.get_running_loop().call_soon(self.process.end, 0)
                return control.Numbers(self.numbers())
            case control.Purge():
                return control.Purged(2)
        return control.Done()

    def numbers(self) -> dict[str, Any]:
        counters = Counters()
        counters.counter("served_total", "Served").add(by=self.served)
        counters.gauge("open", "Open", lambda: {(): 1})
        counters.counter(LIMITS, "Hit", "limit").add("header_bytes", by=2)
        return counters.export()


Change = Callable[[Pretender], None]


@dataclass
class Fleet:
    """A supervisor and every worker that it has started, in order."""

    supervisor: Supervisor
    started: list[Pretender]
    change: Change | None = None  # made to the next worker before it is asked anything

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - nobody says when
                await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def fleet(
    tmp_path: Path, slots: int = 2, *, watched: bool = False, start: bool = True, **limits: Any
) -> AsyncIterator[Fleet]:
    settings = Settings("http://shop.invalid", tmp_path, KEYS, limits=Limits(**limits))
    started: list[Pretender] = []

    async def spawn(
        slot: int, socks: Sequence[socket.socket], told: Callable[[Child, Message], Awaitable[None]]
    ) -> Child:
        ours, theirs = socket.socketpair()
        pretender = Pretender(slot, Process())
        if made.change is not None:
            made.change(pretender)
        pretender.theirs = await Channel.over(theirs, pretender.answer)
        started.append(pretender)

        async def asked(message: Message) -> Message:
            await told(child, message)
            return control.Done()

        child = Child(slot, cast(Any, pretender.process), await Channel.over(ours, asked))
        return child

    sock = socket.create_server(("127.0.0.1", 0))
    made = Fleet(Supervisor(settings, slots, [sock], spawn=spawn), started)
    watching = None
    try:
        if start:
            await made.supervisor.start()
        if watched:
            watching = asyncio.create_task(made.supervisor.watch())
        yield made
    finally:
        await made.supervisor.stop(asyncio.Event())
        if watching is not None:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        for each in started:
            each.process.end(0)
            if each.theirs is not None:
                await each.theirs.close()
        await asyncio.sleep(0)


def contents(*files: str) -> Contents:
    return Contents("rules", dict.fromkeys(files, b"x"), {})


# ------------------------------------------------------------------ starting


def test_every_slot_has_a_worker_that_accepts_for_it_alone(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 3) as made:
            assert sorted(each.slot for each in made.started) == [0, 1, 2]
            assert all(each.slots == [each.slot] for each in made.started)
            assert all(each.kinds() == ["Start", "Accept"] for each in made.started)
            assert (await made.supervisor.readiness()).lines == ["ready, rules good", "3 of 3 workers"]
        assert all(each.kinds()[-1] == "Drain" for each in made.started)
        assert (await made.supervisor.readiness()).lines == ["a stop has begun"]

    run(test())


def test_a_start_fails_whole_when_one_worker_does_not_come(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 2, start=False) as made:

            def dies(each: Pretender) -> None:
                if each.slot:
                    each.deaf = True
                    asyncio.get_running_loop().call_soon(each.process.end, 1)

            made.change = dies
            with pytest.raises(CannotStart, match="worker 1: it ended at once"):
                await made.supervisor.start()
            assert all(each.process.code.done() for each in made.started)

    run(test())


def test_the_token_of_the_admin_listener_stays_here(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 1, start=False) as made:
            made.supervisor.news.settings = replace(made.supervisor.news.settings, admin_token="t" * 20)
            await made.supervisor.start()
            [start] = [each for each in made.started[0].asked if isinstance(each, control.Start)]
            assert "t" * 20 not in str(start.settings)

    run(test())


# ------------------------------------------------------------------ what is new


def test_rules_become_live_only_when_every_worker_finds_them_good(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 2) as made:
            done = await made.supervisor.news.take_rules(contents("good.toml"))
            assert done.ok
            assert [each.asked[-1] for each in made.started] == [control.Settle(True)] * 2
            made.started[1].version = ""  # one of them is of newer code, which finds a mistake
            refused = await made.supervisor.news.take_rules(contents("other.toml"))
            assert not refused.ok
            assert "the last good ones stay live" in refused.lines[-1]
            assert [each.asked[-1] for each in made.started] == [control.Settle(False)] * 2
            ready = await made.supervisor.readiness()
            assert ready.ok
            assert ready.lines[-1] == "the rules on disk have 1 mistake; these are the last good ones"

    run(test())


def test_a_worker_that_starts_is_given_the_last_good_rules(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 1) as made:
            await made.supervisor.news.take_rules(contents("good.toml"))
            await made.supervisor.news.take_rules(contents("bad.toml"))
            assert await made.supervisor.restart()
            [start] = [each for each in made.started[-1].asked if isinstance(each, control.Start)]
            assert set(start.rules["files"]) == {"good.toml"}

    run(test())


def test_what_changes_while_a_worker_is_built_reaches_it_before_it_accepts(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 1) as made:
            built = asyncio.Event()

            def slow(each: Pretender) -> None:
                answer = each.answer

                async def late(message: Message) -> Message:
                    if isinstance(message, control.Start):
                        await built.wait()
                    return await answer(message)

                each.answer = late  # type: ignore[method-assign]

            made.change = slow
            restarting = asyncio.create_task(made.supervisor.restart())
            await made.until(lambda: len(made.started) == 2)
            await made.supervisor.news.take_rules(contents("newer.toml"))
            built.set()
            assert await restarting
            assert made.started[1].kinds() == ["Start", "Offer", "Settle", "Accept"]

    run(test())


def test_a_purge_reaches_all(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 3) as made:
            assert await made.supervisor.purge(["/c/**"], ["boots"]) == 6
            assert all(each.asked[-1] == control.Purge(["/c/**"], ["boots"]) for each in made.started)

    run(test())


# ------------------------------------------------------------------ for the console


def test_what_one_worker_knows_to_be_old_reaches_the_others(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 3) as made:
            first, *others = made.started
            assert first.theirs is not None
            await first.theirs.ask(control.Changed(["shop.example/c/boots"]), control.Done)
            assert control.Changed(["shop.example/c/boots"]) not in first.asked
            for each in others:
                assert each.asked[-1] == control.Changed(["shop.example/c/boots"])

    run(test())


def test_a_worker_that_hangs_keeps_the_others_from_hearing_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        monkeypatch.setattr("edgeproxy.server.supervisor.SOON", 0.0)
        async with fleet(tmp_path, 3) as made:
            first, second, third = made.started
            assert first.theirs is not None
            second.deaf = True
            for place in ("shop.example/a", "shop.example/b"):
                await first.theirs.ask(control.Changed([place]), control.Done, seconds=5)  # less than a hang is borne
            await made.until(lambda: third.asked[-1] == control.Changed(["shop.example/b"]))
            second.deaf = False
            second.process.end(0)

    run(test())


def a_page(at: float) -> Served:
    return Served(
        at=at, method="GET", host="shop.test", path="/", status=200, lane="private", personal=True, applied=("calm",)
    )


def test_what_workers_remember_is_put_together_and_outlives_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "AGAIN", -1.0)

    async def test() -> None:
        async with fleet(tmp_path, 2) as made:
            for number, each in enumerate(made.started):
                each.past.add(a_page(1000.0 + number))
            past = await made.supervisor.past()
            assert past.total(APPLIED, 1000.0, HOUR) == {"calm": 2}
            assert [each["at"] for each in past.tail] == [1001.0, 1000.0]
            assert await made.supervisor.restart()
            assert (await made.supervisor.past()).total(APPLIED, 1000.0, HOUR) == {"calm": 2}
            assert made.supervisor.workers() == Workers(2, 2)

    run(test())


def test_a_worker_that_does_not_answer_keeps_nobody_from_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "AGAIN", -1.0)

    async def test() -> None:
        async with fleet(tmp_path, 2) as made:
            for each in made.started:
                each.past.add(a_page(1000.0))
            await made.supervisor.past()
            made.started[0].process.end(-9)
            await made.until(lambda: len(made.started) == 3)
            assert (await made.supervisor.past()).total(APPLIED, 1000.0, HOUR) == {"calm": 2}

    run(test())


def test_workers_are_not_asked_anew_for_everybody_who_looks(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 1) as made:
            before = await made.supervisor.past()
            made.started[0].past.add(a_page(1000.0))
            assert await made.supervisor.past() is before
            assert sum(isinstance(each, control.Look) for each in made.started[0].asked) == 1

    run(test())


def test_the_worker_that_has_served_longest_is_asked_for_sheets(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 2) as made:
            first = min(made.supervisor.children.values(), key=lambda child: child.born)
            assert await made.supervisor.look({"page": "/"}) == {"html": f"/ by {first.slot}"}
            assert made.supervisor.keys() == KEYS
            made.supervisor.children.clear()
            assert "no worker" in (await made.supervisor.look({"page": "/"}))["trouble"]

    run(test())


def test_one_worker_says_what_the_rules_come_to_and_is_asked_again_for_others(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 2) as made:
            assert await made.supervisor.survey(1000.0) == {"version": "good", "at": 1000.0}
            assert await made.supervisor.survey(1200.0) == {"version": "good", "at": 1000.0}
            assert await made.supervisor.survey(1400.0) == {"version": "good", "at": 1400.0}
            for each in made.started:
                each.version = "better"
            await made.supervisor.news.take_rules(contents("better.toml"))
            assert await made.supervisor.survey(1401.0) == {"version": "better", "at": 1401.0}
            await made.supervisor.news.take_rules(contents("bad.toml"))
            assert made.supervisor.rules() == Rules(live=True, good=False, problems=("rules/bad.toml: bad",))

    run(test())


# ------------------------------------------------------------------ workers that end


def test_a_neighbour_accepts_for_a_dead_worker_until_another_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        monkeypatch.setattr(supervisor, "BACK_OFF", (0.0,))
        async with fleet(tmp_path, 2) as made:
            first, second = sorted(made.started, key=lambda each: each.slot)
            first.process.end(-11)
            await made.until(lambda: len(made.started) == 3)
            successor = made.started[2]
            await made.until(lambda: successor.slots == [0] and second.slots == [1])
            accepted = [each.slots for each in second.asked if isinstance(each, control.Accept)]
            assert accepted == [[1], [1, 0], [1]]
            assert made.supervisor.restarts.get("died") == 1

    run(test())


def test_one_that_dies_at_once_is_tried_again_and_again_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        waits: list[float] = []
        monkeypatch.setattr(supervisor, "BACK_OFF", (0.0, 0.001, 0.002))
        plain = asyncio.wait_for

        async def noted(awaited: Any, seconds: float | None) -> Any:
            waits.append(seconds or 0.0)
            return await plain(awaited, seconds)

        monkeypatch.setattr(asyncio, "wait_for", noted)
        async with fleet(tmp_path, 1) as made:

            def stillborn(each: Pretender) -> None:
                each.deaf = True
                asyncio.get_running_loop().call_soon(each.process.end, 1)

            made.change = stillborn
            made.started[0].process.end(1)
            await made.until(lambda: len(made.started) == 5)
            assert waits[:4] == [0.0, 0.001, 0.002, 0.002]
            health = await made.supervisor.health()
            assert (health.ok, health.lines) == (False, ["no worker is alive"])
            made.change = None
            await made.until(lambda: made.supervisor.children)
            assert (await made.supervisor.health()).ok

    run(test())


def test_one_that_hangs_is_killed_and_replaced(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 1, watched=True, hang_seconds=0.05) as made:
            made.started[0].deaf = True
            await made.until(lambda: len(made.started) == 2 and made.supervisor.children)
            assert made.started[0].process.code.result() == -9
            assert made.supervisor.restarts.get("hung") == 1
            assert made.supervisor.restarts.get("died") == 0

    run(test())


def test_rules_that_nobody_was_there_to_judge_are_judged_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 1) as made:
            made.change = lambda each: setattr(each, "deaf", True)
            made.started[0].process.end(1)
            await made.until(lambda: not made.supervisor.children)
            assert not (await made.supervisor.news.take_rules(contents("newer.toml"))).ok
            made.change = None
            made.started[-1].process.end(1)
            await made.until(lambda: made.started[-1].kinds()[-1:] == ["Settle"])
            assert made.supervisor.news.seen.version == "good"

    monkeypatch.setattr(supervisor, "BACK_OFF", (0.0,))
    run(test())


# ------------------------------------------------------------------ rolling restarts


def test_a_successor_accepts_before_the_old_one_drains(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 2) as made:
            old = list(made.started)
            order: list[tuple[str, int]] = []
            for each in old:
                watch(each, order, "old")
            made.change = lambda each: watch(each, order, "new")
            assert await made.supervisor.restart()
            assert [step for step in order if step[0] in ("new Accept", "old Drain")] == [
                ("new Accept", 0),
                ("old Drain", 0),
                ("new Accept", 1),
                ("old Drain", 1),
            ]
            assert made.supervisor.restarts.get("asked") == 2

    run(test())


def watch(each: Pretender, order: list[tuple[str, int]], name: str) -> None:
    """Note what it is asked, beside everybody else's."""

    class Noting(list[Message]):
        def append(self, message: Message) -> None:
            order.append((f"{name} {type(message).__name__}", each.slot))
            super().append(message)

    each.asked = Noting(each.asked)


def test_a_successor_that_fails_ends_the_restart_and_the_old_ones_go_on(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 2) as made:
            old = list(made.started)
            made.change = lambda each: setattr(each, "version", "")  # it takes the live rules for wrong
            assert not await made.supervisor.restart()
            assert len(made.started) == 3
            assert made.started[2].process.code.done()
            assert all("Drain" not in each.kinds() for each in old)
            assert (await made.supervisor.readiness()).lines[1] == "2 of 2 workers"

    run(test())


def test_a_worker_that_asks_to_leave_gets_a_successor_first(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 1) as made:
            first = made.started[0]
            assert first.theirs is not None
            await first.theirs.ask(control.Leaving(), control.Done)
            await made.until(first.process.code.done)
            assert made.started[1].slots == [0]

    run(test())


def test_a_worker_that_has_not_come_yet_is_asked_nothing_and_a_stop_does_not_wait_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 1) as made:
            made.change = lambda each: setattr(each, "deaf", True)
            restarting = asyncio.create_task(made.supervisor.restart())
            await made.until(lambda: len(made.started) == 2 and made.started[1].asked)
            await made.supervisor.metrics()
            await made.supervisor.past()
            await made.supervisor.stop(asyncio.Event())
            assert not await restarting
            assert made.started[1].kinds() == ["Start"]
            assert "Report" not in [type(each).__name__ for each in made.started[1].asked]
            assert made.started[1].process.code.result() == -9
            assert "Drain" in made.started[0].kinds()
            assert "failed" not in (await made.supervisor.metrics())[0].decode()

    run(test())
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


# ------------------------------------------------------------------ numbers


def test_a_stop_leaves_no_worker_behind_that_was_just_being_started(tmp_path: Path) -> None:
    """As when a whole process group gets SIGTERM: a worker asks for a successor, and then the supervisor stops."""

    async def test() -> None:
        async with fleet(tmp_path, 1) as made:
            begun, go = asyncio.Event(), asyncio.Event()
            kept = made.supervisor._spawn

            async def slowly(*what: Any) -> Child:
                begun.set()
                await go.wait()
                return await kept(*what)

            made.supervisor._spawn = slowly
            restarting = asyncio.create_task(made.supervisor.restart())
            await begun.wait()
            stopping = asyncio.create_task(made.supervisor.stop(asyncio.Event()))
            await made.until(made.started[0].process.code.done)
            for _ in range(20):  # all else that a stop does
                await asyncio.sleep(0)
            assert not stopping.done()
            go.set()
            await stopping
            assert [each.process.code.result() for each in made.started] == [0, -9]
            assert not await restarting

    run(test())


def test_numbers_are_summed_and_those_of_the_ended_stay(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 2) as made:
            for each in made.started:
                each.served = 5
            made.change = lambda each: setattr(each, "served", 1)
            assert await made.supervisor.restart()
            text, kind = await made.supervisor.metrics()
            assert kind.startswith("text/plain")
            assert b"\nserved_total 12.0\n" in text
            assert b"\nopen 2.0\n" in text
            assert b"\nedgeproxy_workers 2.0\n" in text
            assert b'edgeproxy_worker_restarts_total{why="asked"} 2.0' in text

    run(test())


def test_numbers_of_another_version_are_not_mixed() -> None:
    mine, other = Counters(), Counters()
    mine.counter("a_total", "A", "x").add("1")
    other.counter("a_total", "A", "x", "y").add("1", "2")
    mine.histogram("b", "B").observe(0.01)
    other.histogram("b", "B").observe(0.02)
    mine.gauge("c", "C", lambda: {(): 1}, across="min")
    other.gauge("c", "C", lambda: {(): 0}, across="min")
    total = summed([mine.export(), other.export()])
    assert total["a_total"]["rows"] == [[["1"], 1]]
    assert sum(total["b"]["rows"][0][1][:-1]) == 2
    assert total["c"]["rows"] == [[[], 0]]
    assert "c" not in summed([total], gauges=False)


# ------------------------------------------------------------------ cores


@pytest.mark.parametrize(
    ("quota", "most"), [("max 100000", None), ("150000 100000", 2), ("50000 100000", 1), ("?", None)]
)
def test_as_many_workers_as_cores_that_may_be_used(tmp_path: Path, quota: str, most: int | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota + "\n", "ascii")
    usable = usable_cores(tmp_path / "none")
    assert usable >= 1
    assert usable_cores(file) == (usable if most is None else min(usable, most))
