"""The supervisor: starts workers, replaces them, and is the only one who tells them what is new.

Here: how many workers there are and what each of them knows: rules, keys, certificate; ``Supervisor`` answers the
admin listener's questions too (``console.admin.Overview``).  Not here: signals and sockets (``supervise``), one
worker's process (``child``), what a worker does (``worker``).  It imports none of what only workers use, so that it
stays small, and does nothing on a visitor's behalf, so that it lives long.

Sockets.  Each worker has a slot, and each slot a listening socket that the supervisor bound (SO_REUSEPORT: the kernel
spreads connections over them) and never closes while it runs.  A worker that comes after another in a slot inherits
the very same socket: what waits in its queue is accepted by whoever is there, and nothing is lost.  While a slot has no
worker, a neighbour accepts for it.

What is new.  Rules are read once, here, and judged by every worker (``Offer``); only when all of them find them good
they become live (``Settle``), everywhere within the same moment.  A worker that starts is given the last good rules,
keys and certificate, whatever is on disk by then; it accepts nobody before it has all that its neighbours have.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from edgeproxy.console.admin import Standing
from edgeproxy.core.visitor import BadKey
from edgeproxy.counters import CONTENT_TYPE, Counters, summed
from edgeproxy.rulebook import Contents, changes, read
from edgeproxy.server import control, handover
from edgeproxy.server.child import Child, Spawn
from edgeproxy.server.control import Gone, Message, Unable
from edgeproxy.server.tls import BadPair, read_pair
from edgeproxy.settings import Settings, read_keys

__all__ = ["CannotStart", "Supervisor"]

_log = logging.getLogger("edgeproxy")

START_SECONDS: Final = 60.0  # for a worker to be ready
QUICK: Final = 10.0  # for what takes no time
JUDGE_SECONDS: Final = 60.0  # for the biggest folder on a busy machine
STEADY: Final = 10.0  # a worker that lived so long did not die of how it began
BACK_OFF: Final = (0.0, 0.25, 1.0, 4.0, 15.0)  # seconds before a worker is started again: the first death is no pattern
LOOK: Final = 1.0  # between two looks at keys and certificate
POLL: Final = 5.0  # between two questions for a worker's numbers
MARGIN: Final = 10.0  # beyond its drain, for a worker to end

Reply = TypeVar("Reply")


class CannotStart(Exception):
    """A worker did not come to serve; the message says why."""


class Supervisor:
    """Keeps as many workers as there are slots.  Belongs to one event loop; ``start``, ``watch``, ``stop``."""

    def __init__(
        self, settings: Settings, slots: int, socks: Sequence[socket.socket], *, spawn: Spawn = Child.spawn
    ) -> None:
        """``socks``: one for each slot, or fewer that are shared.  Raises BadPair for a certificate that is none."""
        self.settings = settings
        self.slots = slots
        self.children: dict[int, Child] = {}
        self.stopping = False
        self.live: control.Judged | None = None  # the rules that are live; None: there never were good ones
        self.seen = control.Judged("", 0, 0, [])  # the rules that were read last
        self._socks = tuple(socks[slot % len(socks)] for slot in range(slots))
        self.bound = tuple(socks)
        self._spawn = spawn
        self._pem = ""
        if settings.tls_cert is not None and settings.tls_key is not None:
            self._pem = read_pair(settings.tls_cert, settings.tls_key)
        self._rules = Contents("", {}, {})  # read last
        self._good: Contents | None = None  # judged good last
        self._unjudged = False  # nobody was there to judge what was read last
        self._turn = asyncio.Lock()  # one change for all at a time
        self._changing = [asyncio.Lock() for _ in range(slots)]  # one change of who has a slot at a time
        self._rolling = asyncio.Lock()
        self._failures = [0] * slots
        self._alive: set[Child] = set()  # with those that leave
        self._covered: dict[Child, list[int]] = {}
        self._ended: dict[str, Any] = {}  # numbers of those that are gone
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self.counters = counters = Counters()
        self.restarts = counters.counter("edgeproxy_worker_restarts_total", "Workers replaced, by reason", "why")
        self.loads = counters.counter("edgeproxy_rules_loads_total", "Times that the rules were read", "result")
        self.reloads = counters.counter(
            "edgeproxy_secrets_loads_total", "Times that keys or certificate were read again", "what", "result"
        )
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
        counters.gauge(
            "edgeproxy_rules_info",
            "The live rules",
            lambda: {("" if self.live is None else self.live.version,): 1},
            "version",
        )
        counters.gauge("edgeproxy_rules_good", "1 when the rules on disk are live", lambda: {(): float(self._is_good)})

    @property
    def scheme(self) -> str:
        """How visitors come."""
        return "https" if self._pem else "http"

    @property
    def _is_good(self) -> bool:
        return bool(self.seen.version)

    # ------------------------------------------------------------------ its life

    async def start(self) -> None:
        """Start all workers; raises CannotStart when one of them does not come to serve, and leaves none."""
        self._rules = await asyncio.to_thread(read, self.settings.rules)
        begun = await asyncio.gather(*(self._begin(slot) for slot in range(self.slots)), return_exceptions=True)
        failed = [each for each in begun if isinstance(each, BaseException)]
        if failed:
            self.stopping = True
            await asyncio.gather(*(child.kill() for child in tuple(self._alive)))
            raise failed[0]
        self.loads.add("live" if self._is_good else "refused")

    async def watch(self) -> None:
        """Follow files and workers until cancelled."""
        tasks = [asyncio.create_task(each) for each in (self._watch_rules(), self._watch_secrets(), self._poll())]
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
        waiting = [asyncio.create_task(self._see_off(child)) for child in tuple(self._alive)]
        hurried = asyncio.create_task(hurry.wait())
        while waiting and any(not task.done() for task in waiting):
            await asyncio.wait({hurried, *(t for t in waiting if not t.done())}, return_when=asyncio.FIRST_COMPLETED)
            if hurried.done() and any(not task.done() for task in waiting):
                await asyncio.gather(*(child.hurry() for child in tuple(self._alive)))
                await asyncio.wait(waiting)
        hurried.cancel()

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
        try:
            child = await self._spawn(slot, self._socks, self._leaving)
        except OSError as problem:
            raise CannotStart(f"no process can be started: {problem.strerror or problem}") from None
        self._alive.add(child)
        self._later(self._follow(child))
        rules, keys, pem = self._good or self._rules, self.settings.keys, self._pem
        start = control.Start(
            control.PROTOCOL,
            slot,
            handover.settings_out(replace(self.settings, admin_token=None)),  # that listener is ours alone
            handover.rules_out(rules),
            pem,
        )
        try:
            judged = await child.ask(start, control.Judged, seconds=START_SECONDS)
            async with self._turn:
                if (good := self._good or self._rules) is not rules:
                    judged = await child.ask(
                        control.Offer(handover.rules_out(good)), control.Judged, seconds=JUDGE_SECONDS
                    )
                    await child.ask(control.Settle(bool(judged.version)), control.Done, seconds=QUICK)
                if self.settings.keys != keys:
                    await self._hand_keys(child)
                if self._pem != pem:
                    await child.ask(control.NewCertificate(self._pem), control.Done, seconds=QUICK)
                self._compare(judged, instead_of)
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

    async def _hand_keys(self, child: Child) -> None:
        texts = [secret.decode() for secret in self.settings.keys.secrets]
        await child.ask(control.NewKeys(texts), control.Done, seconds=QUICK)

    def _compare(self, judged: control.Judged, instead_of: Child | None) -> None:
        """Newer code may find a mistake where the running code finds none: then what runs goes on."""
        if self.live is None:
            self.seen = judged
            if judged.version:
                self.live, self._good = judged, self._rules
        elif judged.version != self.live.version:
            if instead_of is not None:
                raise CannotStart("; ".join(["it takes the live rules for wrong", *judged.problems]))
            _log.error("a worker takes the live rules for wrong, and serves without: %s", "; ".join(judged.problems))

    async def _follow(self, child: Child) -> None:
        """Wait for its end; see to another, unless it was meant."""
        code = await child.ended()
        self._alive.discard(child)
        self._covered.pop(child, None)
        self._ended = summed([self._ended, child.numbers], gauges=False)
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
        if self._unjudged and self.children:
            await self.take_rules(self._rules)

    async def _revive(self, slot: int) -> None:
        while not self.stopping:
            failures = self._failures[slot]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), BACK_OFF[min(max(failures - 1, 0), len(BACK_OFF) - 1)])
            try:
                await self._begin(slot)
            except CannotStart as problem:
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
                self.restarts.add("failed")
                _log.error("%s; what runs goes on", problem)
                return False
            self.restarts.add("asked")
            self._failures[slot] = 0
        if old is not None:
            await self._see_off(old)
        return True

    async def _leaving(self, child: Child) -> None:
        """A worker was told to end (SIGTERM): another comes before it goes."""
        if not self.stopping and not child.leaving:
            self._later(self._replaced(child))

    async def _replaced(self, child: Child) -> None:
        await self._replace(child.slot, child)

    async def _hung(self, child: Child) -> None:
        self.restarts.add("hung")
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

    # ------------------------------------------------------------------ what is new

    async def take_rules(self, contents: Contents, *, again: bool = True) -> Standing:
        """Make these rules live everywhere if every worker finds them good; tell what came of it.

        ``again`` says to do it also when they are what was read last.
        """
        async with self._turn:
            if not again and contents == self._rules:
                return Standing(self._is_good, [])
            self._rules = contents
            judged = await self._ask_all(control.Offer(handover.rules_out(contents)), control.Judged, JUDGE_SECONDS)
            self._unjudged = not judged
            if not judged:
                return Standing(False, ["no worker is there to judge the rules"])
            self.seen = next((each for each in judged if not each.version), judged[0])
            take = self._is_good
            if take:
                self._good, self.live = contents, self.seen
            await self._ask_all(control.Settle(take), control.Done, QUICK)
        self.loads.add("live" if take else "refused")
        for problem in self.seen.problems:
            _log.warning("%s", problem)
        if take:
            last = f"rules {self.seen.version} are live: {self.seen.experiences} experiences"
            _log.info("%s", last)
        else:
            last = "the rules on disk have mistakes; the last good ones stay live"
            _log.error("%s", last)
        return Standing(take, [*self.seen.problems, last])

    async def take_keys(self) -> Standing:
        """Read the file of keys again."""
        path = self.settings.keys_file
        if path is None:
            return Standing(True, [])
        try:
            keys = await asyncio.to_thread(read_keys, path)
        except BadKey as problem:
            return self._kept("keys", f"{path}: {problem}; the keys stay as they are")
        async with self._turn:
            if keys == self.settings.keys:
                return Standing(True, ["the keys are as before"])
            self.settings = replace(self.settings, keys=keys)
            texts = [secret.decode() for secret in keys.secrets]
            await self._ask_all(control.NewKeys(texts), control.Done, QUICK)
        return self._taken("keys", f"{len(keys)} keys are live")

    async def take_pair(self) -> Standing:
        """Read certificate and key again."""
        certificate, key = self.settings.tls_cert, self.settings.tls_key
        if certificate is None or key is None:
            return Standing(True, [])
        try:
            pem = await asyncio.to_thread(read_pair, certificate, key)
        except (BadPair, ssl.SSLError) as problem:
            return self._kept("certificate", f"{problem}; the certificate stays as it is")
        async with self._turn:
            if pem == self._pem:
                return Standing(True, ["the certificate is as before"])
            self._pem = pem
            await self._ask_all(control.NewCertificate(pem), control.Done, QUICK)
        return self._taken("certificate", "the new certificate is live")

    def _kept(self, what: str, said: str) -> Standing:
        self.reloads.add(what, "refused")
        _log.error("%s", said)
        return Standing(False, [said])

    def _taken(self, what: str, said: str) -> Standing:
        self.reloads.add(what, "live")
        _log.info("%s", said)
        return Standing(True, [said])

    async def purge(self, paths: Sequence[str], tags: Sequence[str]) -> int:
        """Make every worker forget what it stores for these; how many entries that were."""
        purged = await self._ask_all(control.Purge(list(paths), list(tags)), control.Purged, QUICK)
        return sum(each.count for each in purged)

    # ------------------------------------------------------------------ following

    async def _watch_rules(self) -> None:
        async for contents in changes(self.settings.rules, self._rules):
            try:
                await self.take_rules(contents, again=False)  # a reload that was asked for may have been faster
            except Exception:  # a fault of ours must not end the watch: the last good rules stay
                _log.exception("the rules could not be taken")

    async def _watch_secrets(self) -> None:
        keys, pair = (self.settings.keys_file,), (self.settings.tls_cert, self.settings.tls_key)
        watched = [(files, take) for files, take in ((keys, self.take_keys), (pair, self.take_pair)) if any(files)]
        if watched:
            await asyncio.gather(*(_follow_files(files, take) for files, take in watched))

    async def _poll(self) -> None:
        hang = self.settings.limits.hang_seconds
        while True:
            for child in tuple(self.children.values()):
                if not child.leaving and not child.asked:
                    self._later(self._poll_one(child, hang))
            await asyncio.sleep(min(POLL, hang / 3))

    async def _poll_one(self, child: Child, seconds: float) -> None:
        child.asked = True
        try:
            await child.report(seconds)
        except TimeoutError:
            if not child.leaving:
                await self._hung(child)
        except (Gone, Unable):
            pass  # its end is followed elsewhere
        finally:
            child.asked = False

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
        if self.live is None:
            return Standing(False, ["no rules are live: the folder has mistakes"])
        lines = [f"ready, rules {self.live.version}", f"{len(self.children)} of {self.slots} workers"]
        if self.seen.mistakes:
            lines.append(f"the rules on disk have {self.seen.mistakes} mistakes; these are the last good ones")
        return Standing(True, lines)

    async def metrics(self) -> tuple[bytes, str]:
        """All workers' numbers summed, those of ended ones too; our own beside them."""

        async def ask(child: Child) -> None:
            with contextlib.suppress(Gone, Unable, TimeoutError):
                await child.report(2.0)

        await asyncio.gather(*(ask(child) for child in tuple(self._alive)))
        total = summed([self._ended, *(child.numbers for child in self._alive)])
        return self.counters.text(total), CONTENT_TYPE

    async def reload(self) -> Standing:
        """Read everything again that can be: rules, keys, certificate."""
        rules = await self.take_rules(await asyncio.to_thread(read, self.settings.rules))
        done = [rules, await self.take_keys(), await self.take_pair()]
        return Standing(all(each.ok for each in done), [line for each in done for line in each.lines])


async def _follow_files(files: Sequence[Path | None], take: Callable[[], Awaitable[object]]) -> None:
    """Call ``take`` each time that one of the files is another, once nothing more is written."""
    before: object = None  # what was read at the start is read once more, in case it is another by now
    settled: object = None
    while True:
        await asyncio.sleep(LOOK)
        now = await asyncio.to_thread(_marks, files)
        if now == before != settled:
            settled = now
            await take()
        before = now


def _marks(files: Sequence[Path | None]) -> tuple[object, ...]:
    """What differs between two looks at these files when one was written in between."""
    found: list[object] = []
    for path in files:
        try:
            said = path.stat() if path is not None else None
        except OSError:
            said = None
        found.append(None if said is None else (said.st_dev, said.st_ino, said.st_size, said.st_mtime_ns))
    return tuple(found)
