"""What every worker knows: rules, keys, certificate; and how all of them get to know what is new.

Here: reading it, having the rules judged, telling everybody, teaching a worker that comes later.  Not here: which
workers there are (``supervisor``, which calls this), what a worker makes of it (``worker``).

Rules are read once, here, and judged by every worker (``Offer``); only when all of them find them good they become
live (``Settle``), everywhere within the same moment.  A worker that starts is given the last good rules, keys and
certificate, whatever is on disk by then; it accepts nobody before it has all that its neighbours have.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from edgeproxy.console.overview import Standing
from edgeproxy.core.visitor import BadKey
from edgeproxy.core.words import count
from edgeproxy.counters import Counters
from edgeproxy.rulebook import Contents, changes, read
from edgeproxy.server import control, handover
from edgeproxy.server.child import CannotStart, Child
from edgeproxy.server.control import Message
from edgeproxy.server.following import follow
from edgeproxy.server.tls import BadPair, read_pair
from edgeproxy.settings import Settings, read_keys

__all__ = ["QUICK", "News"]

_log = logging.getLogger("edgeproxy")

START_SECONDS: Final = 60.0  # for a worker to be ready
QUICK: Final = 10.0  # for what takes no time
JUDGE_SECONDS: Final = 60.0  # for the biggest folder on a busy machine

Reply = TypeVar("Reply")


class AskAll(Protocol):
    """Asks every worker at once; the replies of those who could."""

    async def __call__(self, message: Message, reply: type[Reply], seconds: float) -> list[Reply]: ...


class News:
    """Belongs to one supervisor; one change for all at a time."""

    def __init__(self, settings: Settings, ask_all: AskAll, counters: Counters) -> None:
        """Raises BadPair for a certificate that is none."""
        self.settings = settings
        self.live: control.Judged | None = None  # the rules that are live; None: there never were good ones
        self.seen = control.Judged("", 0, 0, [])  # the rules that were read last
        self.unjudged = False  # nobody was there to judge what was read last
        self._ask_all = ask_all
        self._pem = ""
        if settings.tls_cert is not None and settings.tls_key is not None:
            self._pem = read_pair(settings.tls_cert, settings.tls_key)
        self._rules = Contents("", {}, {})  # read last
        self._good: Contents | None = None  # judged good last
        self._turn = asyncio.Lock()
        self._loads = counters.counter("edgeproxy_rules_loads_total", "Times that the rules were read", "result")
        self._reloads = counters.counter(
            "edgeproxy_secrets_loads_total", "Times that keys or certificate were read again", "what", "result"
        )
        counters.gauge(
            "edgeproxy_rules_info",
            "The live rules",
            lambda: {("" if self.live is None else self.live.version,): 1},
            "version",
        )
        counters.gauge("edgeproxy_rules_good", "1 when the rules on disk are live", lambda: {(): float(self._is_good)})

    @property
    def tls(self) -> bool:
        """Visitors come by https."""
        return bool(self._pem)

    @property
    def _is_good(self) -> bool:
        return bool(self.seen.version)

    # ------------------------------------------------------------------ a worker that comes

    async def read(self) -> None:
        """Read the rules for the first time; the first worker judges them."""
        self._rules = await asyncio.to_thread(read, self.settings.rules)

    def begun(self) -> None:
        """All workers serve for the first time."""
        self._loads.add("live" if self._is_good else "refused")

    @contextlib.asynccontextmanager
    async def teach(self, child: Child, *, successor: bool) -> AsyncIterator[None]:
        """Start a worker with all that its neighbours know; nothing changes for anybody while it is open.

        ``successor``: it takes the place of one that runs.  Raises CannotStart, and as ``Child.ask`` does.
        """
        rules, keys, pem = self._good or self._rules, self.settings.keys, self._pem
        start = control.Start(
            control.PROTOCOL,
            child.slot,
            handover.settings_out(replace(self.settings, admin_token=None)),  # that listener is the supervisor's
            handover.rules_out(rules),
            pem,
        )
        judged = await child.ask(start, control.Judged, seconds=START_SECONDS)
        async with self._turn:
            if (good := self._good or self._rules) is not rules:
                offer = control.Offer(handover.rules_out(good))
                judged = await child.ask(offer, control.Judged, seconds=JUDGE_SECONDS)
                await child.ask(control.Settle(bool(judged.version)), control.Done, seconds=QUICK)
            if self.settings.keys != keys:
                texts = [secret.decode() for secret in self.settings.keys.secrets]
                await child.ask(control.NewKeys(texts), control.Done, seconds=QUICK)
            if self._pem != pem:
                await child.ask(control.NewCertificate(self._pem), control.Done, seconds=QUICK)
            self._compare(judged, successor=successor)
            yield

    def _compare(self, judged: control.Judged, *, successor: bool) -> None:
        """Newer code may find a mistake where the running code finds none: then what runs goes on."""
        if self.live is None:
            self.seen = judged
            if judged.version:
                self.live, self._good = judged, self._rules
        elif judged.version != self.live.version:
            if successor:
                raise CannotStart("; ".join(["it takes the live rules for wrong", *judged.problems]))
            _log.error("a worker takes the live rules for wrong, and serves without: %s", "; ".join(judged.problems))

    # ------------------------------------------------------------------ what is new

    async def take_unjudged(self) -> None:
        """Have judged what nobody was there to judge."""
        if self.unjudged:
            await self.take_rules(self._rules)

    async def reload(self) -> Standing:
        """Read everything again that can be: rules, keys, certificate."""
        rules = await self.take_rules(await asyncio.to_thread(read, self.settings.rules))
        done = [rules, await self.take_keys(), await self.take_pair()]
        return Standing(all(each.ok for each in done), [line for each in done for line in each.lines])

    async def take_rules(self, contents: Contents, *, again: bool = True) -> Standing:
        """Make these rules live everywhere if every worker finds them good; tell what came of it.

        ``again`` says to do it also when they are what was read last.
        """
        async with self._turn:
            if not again and contents == self._rules:
                return Standing(self._is_good, [])
            self._rules = contents
            judged = await self._ask_all(control.Offer(handover.rules_out(contents)), control.Judged, JUDGE_SECONDS)
            self.unjudged = not judged
            if not judged:
                return Standing(False, ["no worker is there to judge the rules"])
            self.seen = next((each for each in judged if not each.version), judged[0])
            take = self._is_good
            if take:
                self._good, self.live = contents, self.seen
            await self._ask_all(control.Settle(take), control.Done, QUICK)
        self._loads.add("live" if take else "refused")
        for problem in self.seen.problems:
            _log.warning("%s", problem)
        if take:
            last = f"rules {self.seen.version} are live: {count(self.seen.experiences, 'experience')}"
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
        return self._taken("keys", f"{count(len(keys), 'key is', 'keys are')} live")

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
        self._reloads.add(what, "refused")
        _log.error("%s", said)
        return Standing(False, [said])

    def _taken(self, what: str, said: str) -> Standing:
        self._reloads.add(what, "live")
        _log.info("%s", said)
        return Standing(True, [said])

    # ------------------------------------------------------------------ following

    async def watch(self) -> None:
        """Follow rules, keys and certificate until cancelled."""
        await asyncio.gather(self._watch_rules(), self._watch_secrets())

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
            await asyncio.gather(*(follow(files, take) for files, take in watched))
