"""How the supervisor and its workers talk: typed messages as JSON behind a length, over a pair of local sockets.

Here: the messages, their bytes, and ``Channel``, one end of a pair.  Not here: what a message does (``worker``,
``supervisor``).  A pair has no name in the file system: only who inherited an end can speak on it.

A frame is four bytes of length, big-endian, and a JSON object: ``id`` (of the question), ``re`` (it is an answer),
``kind`` (the message's class), ``body`` (its fields).  Nothing that is read is run: a frame that is no known message
with fields of the right types ends the conversation.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeVar

__all__ = ["PROTOCOL", "Channel", "ControlError", "Gone", "Message", "Unable", "decoded", "encoded"]

PROTOCOL: Final = 2
"""Of these messages.  After an upgrade on disk, a supervisor starts workers of newer code: it says which it speaks."""

LARGEST: Final = 160 << 20  # bytes of a frame: a rules folder at its limit, in base64

_log = logging.getLogger("edgeproxy.server")


# --------------------------------------------------------------------------- messages


@dataclass(frozen=True, slots=True)
class Start:
    """Build everything, accept nothing yet → ``Judged`` (of the rules)."""

    protocol: int
    slot: int
    settings: dict[str, Any] = field(repr=False)  # ``handover.settings_out``: it holds the keys
    rules: dict[str, Any] = field(repr=False)  # ``handover.rules_out``
    pem: str = field(repr=False)  # certificate chain and key; "": plain HTTP


@dataclass(frozen=True, slots=True)
class Accept:
    """Accept connections on the sockets of exactly these slots → ``Done``."""

    slots: list[int]


@dataclass(frozen=True, slots=True)
class Offer:
    """Judge these rules; what is live stays → ``Judged``."""

    rules: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Judged:
    """What rules came to: their version, "" when they have mistakes; every problem as it is told."""

    version: str
    experiences: int
    mistakes: int
    problems: list[str]
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Settle:
    """The rules offered last become live (``take``), or are on disk and not to be had → ``Done``."""

    take: bool


@dataclass(frozen=True, slots=True)
class NewKeys:
    """Sign and verify with these from now on, oldest first → ``Done``."""

    keys: list[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewCertificate:
    """Greet with this chain and key from the next connection on → ``Done``."""

    pem: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Purge:
    """Forget what is stored for these path patterns, or under these tags → ``Purged``."""

    paths: list[str]
    tags: list[str]


@dataclass(frozen=True, slots=True)
class Purged:
    count: int


@dataclass(frozen=True, slots=True)
class Report:
    """Say your numbers (and so that you are alive) → ``Numbers``."""


@dataclass(frozen=True, slots=True)
class Numbers:
    counters: dict[str, Any]  # ``Counters.export``


@dataclass(frozen=True, slots=True)
class Look:
    """Say what happened lately → ``Seen``."""


@dataclass(frozen=True, slots=True)
class Seen:
    past: dict[str, Any]  # ``History.export``


@dataclass(frozen=True, slots=True)
class Survey:
    """Say what the live rules come to, at a moment → ``Surveyed``."""

    at: float


@dataclass(frozen=True, slots=True)
class Surveyed:
    book: dict[str, Any]  # ``bookview.view``; {}: no rules are live


@dataclass(frozen=True, slots=True)
class Show:
    """Make a contact sheet or an explanation → ``Shown``."""

    asked: dict[str, Any]  # as ``sheet.looking.Looking.ask`` takes it


@dataclass(frozen=True, slots=True)
class Shown:
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Drain:
    """Take nothing new, finish what is at work, say your last numbers, end → ``Numbers``."""


@dataclass(frozen=True, slots=True)
class Hurry:
    """A drain waits no longer: what is open is cut → ``Done``."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """A worker's own: it was told to end, and asks to be replaced → ``Done``."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A worker's own, and passed on to the others: what is kept for these addresses is old → ``Done``."""

    places: list[str]  # Host and raw path, one after the other ("shop.example/c/boots"); none: everything


@dataclass(frozen=True, slots=True)
class Done:
    pass


@dataclass(frozen=True, slots=True)
class Failed:
    """The question could not be answered."""

    what: str


Message = (
    Start | Accept | Offer | Judged | Settle | NewKeys | NewCertificate | Purge | Purged | Report | Numbers | Look
    | Seen | Survey | Surveyed | Show | Shown | Drain | Hurry | Leaving | Changed | Done | Failed
)  # fmt: skip

_KINDS: Final[dict[str, type[Any]]] = {each.__name__: each for each in typing.get_args(Message)}
_HINTS: Final = {name: typing.get_type_hints(each) for name, each in _KINDS.items()}


class ControlError(Exception):
    """What came is no message."""


class Gone(ConnectionError):
    """The other end is not there any more."""


class Unable(Exception):
    """The other end could not do what was asked; the message says why."""


# --------------------------------------------------------------------------- bytes


def encoded(message: Message, number: int = 0, *, answer: bool = False) -> bytes:
    """One frame."""
    body = {each.name: getattr(message, each.name) for each in fields(message)}
    frame = {"id": number, "re": answer, "kind": type(message).__name__, "body": body}
    data = json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return len(data).to_bytes(4, "big") + data


def decoded(data: bytes) -> tuple[int, bool, Message]:
    """Number, whether it answers, and the message of a frame without its length; raises ControlError."""
    try:
        frame = json.loads(data.decode("utf-8", "surrogatepass"))
        number, answer, kind, body = frame["id"], frame["re"], frame["kind"], frame["body"]
        hints = _HINTS[kind]
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise ControlError(f"no message: {problem!r}") from None
    if type(number) is not int or type(answer) is not bool or not isinstance(body, dict) or body.keys() != hints.keys():
        raise ControlError(f"not as a {kind} is written")
    wrong = [name for name, hint in hints.items() if not _fits(body[name], hint)]
    if wrong:
        raise ControlError(f"{kind}: {', '.join(wrong)} of another type")
    message: Message = _KINDS[kind](**body)
    return number, answer, message


def _fits(value: object, hint: Any) -> bool:
    kind = typing.get_origin(hint) or hint
    if type(value) is not kind:
        return False
    return not isinstance(value, list) or all(type(each) is typing.get_args(hint)[0] for each in value)


# --------------------------------------------------------------------------- a conversation

Reply = TypeVar("Reply")
Answerer = Callable[[Message], Awaitable[Message]]


class Channel:
    """One end of a pair: asks, and answers what it is asked, several at once in both directions."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answerer) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self.ended = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def over(cls, sock: socket.socket, answer: Answerer) -> Channel:
        """On a connected local socket, which it owns from now on."""
        sock.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=sock, limit=1 << 20)
        return cls(reader, writer, answer)

    async def ask(self, message: Message, reply: type[Reply], *, seconds: float | None = None) -> Reply:
        """Ask and wait; raises Gone, Unable (with the other end's reason), TimeoutError."""
        if self.ended.is_set():
            raise Gone("nobody is there")
        self._number += 1
        number = self._number
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._write(encoded(message, number))
                answer = await waiting
        finally:
            del self._waiting[number]
        if isinstance(answer, Failed):
            raise Unable(answer.what)
        if not isinstance(answer, reply):
            raise Unable(f"asked for {reply.__name__}, got {type(answer).__name__}")
        return answer

    async def close(self) -> None:
        """End the conversation; who waits for an answer gets Gone."""
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except (ConnectionError, RuntimeError):
            raise Gone("nobody is there") from None

    async def _read(self) -> None:
        try:
            while True:
                size = int.from_bytes(await self._reader.readexactly(4), "big")
                if size > LARGEST:
                    raise ControlError(f"a frame of {size} bytes")
                number, answer, message = decoded(await self._reader.readexactly(size))
                if not answer:
                    task = asyncio.create_task(self._reply(number, message))
                    self._answering.add(task)
                    task.add_done_callback(self._answering.discard)
                elif (waiting := self._waiting.get(number)) is not None and not waiting.done():
                    waiting.set_result(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it has ended
        except ControlError as problem:
            _log.error("a conversation between supervisor and worker ends: %s", problem)
        finally:
            self.ended.set()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(Gone("nobody is there"))
            self._writer.close()

    async def _reply(self, number: int, message: Message) -> None:
        try:
            answer = await self._answer(message)
        except Exception as problem:
            _log.exception("%s could not be done", type(message).__name__)
            answer = Failed(f"{type(problem).__name__}: {problem}")
        with contextlib.suppress(Gone):
            await self._write(encoded(answer, number, answer=True))
