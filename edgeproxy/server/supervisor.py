"""The supervisor: starts workers, replaces them, asks them.

Here: how many workers there are and which slot each has; ``Supervisor`` answers the admin listener's questions too
(``console.overview.Overview``).  Not here: what every worker knows (``news``), signals and sockets (``supervise``), one
worker's process (``child``), what a worker does (``worker``).  It imports none of what only workers use, so that it
stays small, and does nothing on a visitor's behalf, so that it lives long.

Sockets.  Each worker has a slot, and each slot a listening socket that the supervisor bound (SO_REUSEPORT: the kernel
spreads connections over them) and never closes while it runs.  A worker that comes after another in a slot inherits
the very same socket: what waits in its queue is accepted by whoever is there, and nothing is lost.  While a slot has no
worker, a neighbour accepts for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from edgeproxy import exposition
from edgeproxy.console.overview import Rules, Standing, Workers
from edgeproxy.core.signing import Keys
from edgeproxy.core.words import count
from edgeproxy.counters import LIMITS, Counters, summed
from edgeproxy.history import Past, exported, merged
from edgeproxy.server import control
from edgeproxy.server.child import CannotStart, Child, Spawn
from edgeproxy.server.control import Gone, Message, Unable
from edgeproxy.server.news import QUICK, News
from edgeproxy.settings import Settings

__all__ = ["CannotStart", "Supervisor"]

_log = logging.getLogger("edgeproxy")

STEADY: Final = 10.0  # a worker that lived so long did not die of how it began
BACK_OFF: Final = (0.0, 0.25, 1.0, 4.0, 15.0)  # seconds before a worker is started again: the first death is no pattern
POLL: Final = 5.0  # between two questions for a worker's numbers
LOOKS: Final = 12  # questions for numbers to each question for what is remembered
SOON: Final = 0.1  # seconds in which workers have usually heard what one of them told
LOOKING: Final = 90.0  # for a sheet of many pages, of a slow shop
AGAIN: Final = 0.9  # seconds for which what workers remember is not asked again
FRESH: Final = 300.0  # seconds for which what the same rules come to is not asked again
MARGIN: Final = 10.0  # beyond its drain, for a worker to end

Reply = TypeVar("Reply")


class Supervisor:
    """Keeps as many workers as there are slots.  Belongs to one event loop; ``start``, ``watch``, ``stop``."""

    def __init__(
        self, settings: Settings, slots: int, socks: Sequence[socket.socket], *, spawn: Spawn = Child.spawn
    ) -> None:
        """``socks``: one for each slot, or one for all.  Raises BadPair for a certificate that is none."""
        self.slots = slots
        self.children: dict[int, Child] = {}
        self.stopping = False
        # A file of its own for each slot, also where all share a socket: a worker closes what it no longer serves.
        self.bound = (*socks, *(socks[slot % len(socks)].dup() for slot in range(len(socks), slots)))
        self._spawn = spawn
        self._changing = [asyncio.Lock() for _ in range(slots)]  # one change of who has a slot at a time
        self._rolling = asyncio.Lock()
        self._failures = [0] * slots
        self._alive: set[Child] = set()  # with those that leave
        self._births: set[asyncio.Future[Child]] = set()  # processes that are being started
        self._covered: dict[Child, list[int]] = {}
        self._ended: dict[str, Any] = {}  # numbers of those that are gone
        self._past: dict[str, Any] = {}  # what those remembered
        self._looked: tuple[float, Past] | None = None  # when, and what that came to
        self._surveyed: tuple[str, float, dict[str, Any]] = ("", 0.0, {})  # of which rules, when, what
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self.counters = counters = Counters()
        self.restarts = counters.counter("edgeproxy_worker_restarts_total", "Workers replaced, by reason", "why")
        counters.gauge("edgeproxy_workers", "Workers that serve", lambda: {(): len(self.children)})
        counters.gauge(
            "edgeproxy_worker_resident_bytes",
            "Memory of each worker",
            lambda: {
                (str(slot),): size
                for slot, child in sorted(self.children.items())
                if (size := child.resident_bytes()) is not None
            },
            "worker",
        )
        self._limits = counters.counter(LIMITS, "Times that a limit was hit, by its name", "limit")
        self.news = News(settings, self._ask_all, counters)

    @property
    def settings(self) -> Settings:
        """As they are now: keys may have come since the start."""
        return self.news.settings

    @property
    def scheme(self) -> str:
        """How visitors come."""
        return "https" if self.news.tls else "http"

    # ------------------------------------------------------------------ its life

    async def start(self) -> None:
        """Start all workers; raises CannotStart when one of them does not come to serve, and leaves none."""
        await self.news.read()
        begun = await asyncio.gather(*(self._begin(slot) for slot in range(self.slots)), return_exceptions=True)
        failed = [each for each in begun if isinstance(each, BaseException)]
        if failed:
            self.stopping = True
            await asyncio.gather(*(child.kill() for child in tuple(self._alive)))
            raise failed[0]
        self.news.begun()

    async def watch(self) -> None:
        """Follow files and workers until cancelled."""
        tasks = [asyncio.create_task(each) for each in (self.news.watch(), self._poll())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in (*tasks, *self._tasks):
                task.cancel()

    async def stop(self, hurry: asyncio.Event) -> None:
        """Take nothing new, let every worker finish and end; ``hurry`` cuts it short."""
        self.stopping = True
        self._stop.set()
        for sock in self.bound:
            sock.close()
        unborn = self._alive - self._covered.keys()  # they serve nobody yet
        waiting = [asyncio.create_task(child.kill()) for child in unborn]
        waiting += [asyncio.create_task(self._see_off(child)) for child in tuple(self._covered)]
        waiting += [asyncio.create_task(self._stillborn(birth)) for birth in self._births]
        hurried = asyncio.create_task(hurry.wait())
        while waiting and any(not task.done() for task in waiting):
            await asyncio.wait({hurried, *(t for t in waiting if not t.done())}, return_when=asyncio.FIRST_COMPLETED)
            if hurried.done() and any(not task.done() for task in waiting):
                await asyncio.gather(*(child.hurry() for child in tuple(self._alive)))
                await asyncio.wait(waiting)
        hurried.cancel()

    async def _stillborn(self, birth: asyncio.Future[Child]) -> None:
        """What is not quite a process yet would outlive us, with our sockets, until it finds itself alone."""
        with contextlib.suppress(OSError, CannotStart):
            await (await birth).kill()

    async def _see_off(self, child: Child) -> None:
        """Drain it; one that does not end is killed."""
        try:
            async with asyncio.timeout(self.settings.limits.drain_seconds + MARGIN):
                await child.drain()
        except TimeoutError:
            _log.warning("worker %d (pid %d) did not end when it should have: killed", child.slot, child.pid)
            await child.kill()

    # ------------------------------------------------------------------ workers

    async def _begin(self, slot: int, *, instead_of: Child | None = None) -> Child:
        """A new worker in a slot, knowing all and accepting; raises CannotStart."""
        if self.stopping:
            raise CannotStart("a stop has begun")
        birth = asyncio.create_task(self._born(slot))
        self._births.add(birth)
        birth.add_done_callback(self._births.discard)
        try:
            child = await birth
        except OSError as problem:
            raise CannotStart(f"no process can be started: {problem.strerror or problem}") from None
        self._alive.add(child)
        self._later(self._follow(child))
        try:
            async with self.news.teach(child, successor=instead_of is not None):
                if self.stopping:
                    raise CannotStart("a stop has begun")
                await child.ask(control.Accept([slot]), control.Done, seconds=QUICK)
                self._covered[child] = [slot]
                self.children[slot] = child
        except (Gone, Unable, TimeoutError, CannotStart) as problem:
            await child.kill()
            why = "it ended at once" if isinstance(problem, Gone) else str(problem) or "it was not ready in time"
            raise CannotStart(f"worker {slot}: {why}") from None
        return child

    async def _born(self, slot: int) -> Child:
        if self.stopping:  # since it was asked for: the sockets are closed
            raise CannotStart("a stop has begun")
        return await self._spawn(slot, self.bound, self._told)

    async def _follow(self, child: Child) -> None:
        """Wait for its end; see to another, unless it was meant."""
        code = await child.ended()
        self._alive.discard(child)
        self._covered.pop(child, None)
        self._ended = summed([self._ended, child.numbers], gauges=False)
        self._past = exported(merged([self._past, child.past]))
        slot = child.slot
        if self.stopping or self.children.get(slot) is not child:
            return
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if not child.leaving:
            self.restarts.add("died")
            _log.error("worker %d (pid %d) died: %s; another takes its place", slot, child.pid, how)
        async with self._changing[slot]:
            if self.children.get(slot) is child:
                del self.children[slot]
                await self._cover()
                steady = time.monotonic() - child.born >= STEADY
                self._failures[slot] = 0 if steady else self._failures[slot] + 1
                await self._revive(slot)
        await self._cover()
        if self.children:
            await self.news.take_unjudged()

    async def _revive(self, slot: int) -> None:
        while not self.stopping:
            failures = self._failures[slot]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), BACK_OFF[min(max(failures - 1, 0), len(BACK_OFF) - 1)])
            try:
                await self._begin(slot)
            except CannotStart as problem:
                if self._stop.is_set():
                    return
                self._failures[slot] += 1
                self.restarts.add("failed")
                _log.error("%s; it is tried again", problem)
            else:
                return

    async def _cover(self) -> None:
        """Slots without a worker are served by the others, one slot each in turn; those that have one, by it alone."""
        present = sorted(self.children)
        wanted = {slot: [slot] for slot in present}
        for index, slot in enumerate(slot for slot in range(self.slots) if slot not in self.children):
            if present:
                wanted[present[index % len(present)]].append(slot)
        for slot, slots in wanted.items():
            child = self.children.get(slot)
            if child is not None and not child.leaving and self._covered.get(child) != slots:
                self._covered[child] = slots
                with contextlib.suppress(Gone, Unable, TimeoutError):
                    await child.ask(control.Accept(slots), control.Done, seconds=QUICK)

    async def restart(self) -> bool:
        """Replace every worker, one after another; whether all were.  A successor that fails ends it there."""
        if self._rolling.locked():
            _log.warning("a rolling restart is under way already")
            return False
        async with self._rolling:
            _log.info("a rolling restart begins")
            for slot in range(self.slots):
                if self.stopping or not await self._replace(slot, self.children.get(slot)):
                    return False
            _log.info("the rolling restart is done")
        return True

    async def _replace(self, slot: int, old: Child | None) -> bool:
        """A new worker first, then the old one ends what it has begun."""
        async with self._changing[slot]:
            if self.children.get(slot) is not old:
                return True
            try:
                await self._begin(slot, instead_of=old)
            except CannotStart as problem:
                if not self.stopping:
                    self.restarts.add("failed")
                    _log.error("%s; what runs goes on", problem)
                return False
            self.restarts.add("asked")
            self._failures[slot] = 0
        if old is not None:
            await self._see_off(old)
        return True

    async def _told(self, child: Child, message: Message) -> None:
        """What a worker says by itself."""
        if isinstance(message, control.Changed):
            told = self._later(self._each(lambda other: other.ask(message, control.Done, seconds=QUICK), but=child))
            await asyncio.wait({told}, timeout=SOON)  # one that hangs keeps the others from nothing
        else:
            await self._leaving(child)

    async def _leaving(self, child: Child) -> None:
        """A worker was told to end (SIGTERM): another comes before it goes."""
        if not self.stopping and not child.leaving:
            self._later(self._replaced(child))

    async def _replaced(self, child: Child) -> None:
        await self._replace(child.slot, child)

    async def _hung(self, child: Child) -> None:
        self.restarts.add("hung")
        self._limits.add("hang_seconds")
        _log.error("worker %d (pid %d) answers nothing: it is killed", child.slot, child.pid)
        await child.kill()

    async def _ask_all(self, message: Message, reply: type[Reply], seconds: float) -> list[Reply]:
        """Ask every worker at once; who hangs is killed, who dies is asked no more, its successor will know."""

        async def ask(child: Child) -> Reply | None:
            try:
                return await child.ask(message, reply, seconds=seconds)
            except TimeoutError:
                await self._hung(child)
            except (Gone, Unable) as problem:
                if isinstance(problem, Unable):
                    _log.error("worker %d: %s", child.slot, problem)
                    await child.kill()
            return None

        replies = await asyncio.gather(*(ask(child) for child in tuple(self.children.values())))
        return [each for each in replies if each is not None]

    async def purge(self, paths: Sequence[str], tags: Sequence[str]) -> int:
        """Make every worker forget what it stores for these; how many entries that were."""
        purged = await self._ask_all(control.Purge(list(paths), list(tags)), control.Purged, QUICK)
        return sum(each.count for each in purged)

    async def _poll(self) -> None:
        hang = self.settings.limits.hang_seconds
        for turn in itertools.count():
            for child in tuple(self.children.values()):
                if not child.leaving and not child.asked:
                    self._later(self._poll_one(child, hang, look=turn % LOOKS == LOOKS - 1))
            await asyncio.sleep(min(POLL, hang / 3))

    async def _poll_one(self, child: Child, seconds: float, *, look: bool) -> None:
        child.asked = True
        try:
            await child.report(seconds)
            if look:
                await child.look(seconds)
        except TimeoutError:
            if not child.leaving:
                await self._hung(child)
        except (Gone, Unable):
            pass  # its end is followed elsewhere
        finally:
            child.asked = False

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ------------------------------------------------------------------ for the admin listener

    async def health(self) -> Standing:
        """Whether anybody serves."""
        return Standing(True, ["ok"]) if self.children else Standing(False, ["no worker is alive"])

    async def readiness(self) -> Standing:
        """Whether traffic should come."""
        if self.stopping:
            return Standing(False, ["a stop has begun"])
        if not self.children:
            return Standing(False, ["no worker is alive"])
        if self.news.live is None:
            return Standing(False, ["no rules are live: the folder has mistakes"])
        lines = [f"ready, rules {self.news.live.version}", f"{len(self.children)} of {self.slots} workers"]
        if self.news.seen.mistakes:
            lines.append(
                f"the rules on disk have {count(self.news.seen.mistakes, 'mistake')}; these are the last good ones"
            )
        return Standing(True, lines)

    async def metrics(self) -> tuple[bytes, str]:
        """All workers' numbers summed, those of ended ones too; our own beside them."""
        return exposition.text(await self.numbers()), exposition.CONTENT_TYPE

    async def _workers_numbers(self) -> dict[str, Any]:
        await self._each(lambda child: child.report(2.0))
        return summed([self._ended, *(child.numbers for child in self._alive)])

    async def _each(self, ask: Callable[[Child], Awaitable[object]], *, but: Child | None = None) -> None:
        """Ask everybody who serves or leaves at once, ``but`` one; who does not answer is not waited for."""

        async def quietly(child: Child) -> None:
            with contextlib.suppress(Gone, Unable, TimeoutError):
                await ask(child)

        await asyncio.gather(*(quietly(child) for child in tuple(self._covered) if child is not but))

    async def numbers(self) -> dict[str, Any]:
        """The same as ``metrics``, in plain types."""
        workers, own = await self._workers_numbers(), self.counters.export()
        return workers | own | summed({LIMITS: each[LIMITS]} for each in (workers, own) if LIMITS in each)

    async def past(self) -> Past:
        """What all workers remember, those that have ended too; asked once a second, however many look."""
        now = time.monotonic()
        if self._looked is None or now - self._looked[0] > AGAIN:
            await self._each(lambda child: child.look(2.0))
            self._looked = (now, merged([self._past, *(child.past for child in self._alive)]))
        return self._looked[1]

    async def survey(self, at: float) -> dict[str, Any]:
        """What the live rules come to, as one of the workers sees it; of the last minute, where they are the same."""
        version = "" if self.news.live is None else self.news.live.version
        known, then, told = self._surveyed
        if told and known == version and abs(at - then) < FRESH:
            return told
        for child in tuple(self.children.values()):
            with contextlib.suppress(Gone, Unable, TimeoutError):
                book = (await child.ask(control.Survey(at), control.Surveyed, seconds=QUICK)).book
                if book:
                    self._surveyed = (version, at, book)
                return book
        return {}

    async def look(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """A contact sheet or an explanation, made by the worker that has served longest."""
        for child in sorted(self.children.values(), key=lambda child: child.born):
            with contextlib.suppress(Gone, TimeoutError):
                try:
                    return (await child.ask(control.Show(dict(asked)), control.Shown, seconds=LOOKING)).told
                except Unable as problem:
                    return {"trouble": f"a fault of ours: {problem}"}
        return {"trouble": "no worker is there to answer"}

    def keys(self) -> Keys:
        """What signs links now."""
        return self.settings.keys

    def rules(self) -> Rules:
        """How the rules on disk stand to those that are live."""
        return Rules(self.news.live is not None, bool(self.news.seen.version), tuple(self.news.seen.problems))

    def workers(self) -> Workers:
        """Those that serve, of those that should."""
        return Workers(len(self.children), self.slots)

    async def reload(self) -> Standing:
        """Read everything again that can be: rules, keys, certificate."""
        return await self.news.reload()
