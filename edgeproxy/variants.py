"""Variants kept: a stored page with its edits made, once in each content coding, for all who get the same.

Here: which variant is which (by the page and its edits with their resolved values, never by the visitor), its codings
(a cheap one at once, the best one in the background), its ETags.  Not here: stored pages (``pages``), which edits
somebody gets (``html.place``), lines (``respond``).  One instance per worker.

    first asked for    gzip stitched from the page's pieces, or the cheap coding that the visitor ranks first
    asked for again    the same, and the best coding that the visitor takes begins to be made: one at a time
    once it is made    the best coding

A variant keeps its codings and its edits, and its bytes in the clear only when somebody takes no coding.  Every body
that leaves under one strong ETag is the same to the byte (RFC 9110, 8.8.1): the tag names the coding and how it was
made.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, NamedTuple

from cachetools import LRUCache

from edgeproxy import respond
from edgeproxy.bounded import Bounded, unheard
from edgeproxy.content_coding import BEST, SMALLEST, accepted, best, compress
from edgeproxy.html.model import Splice
from edgeproxy.html.render import render
from edgeproxy.stitch import Piece, Seams

__all__ = ["Coded", "Variant", "Variants", "identify"]

log = logging.getLogger("edgeproxy.variants")

VARIANTS_BYTES: Final = 128 * 1024**2
STITCHED_FROM: Final = 48 * 1024  # bytes of a page from which on stitching is worth its somewhat longer gzip
MOST_AT_WORK: Final = 64  # best codings that wait for their turn; others are asked for again later
_TEXTS: Final = 2048  # inserted texts whose pieces are kept


class Coded(NamedTuple):
    """A body as it leaves."""

    coding: str  # "": none
    made: str  # "cheap", "stitched", "best"; "": as it is
    data: bytes
    etag: bytes


@dataclass(slots=True, eq=False, weakref_slot=True)
class Variant:
    """One page with its edits; made by ``Variants``."""

    key: bytes
    splices: tuple[Splice, ...]
    mark: str  # of the bytes in the clear: what its ETags begin with
    length: int  # of the bytes in the clear
    whole: bytes | None = None  # the bytes themselves, where splices alone do not make them
    codings: dict[str, Coded] = field(default_factory=dict)  # the first one made, by coding
    best: dict[str, Coded] = field(default_factory=dict)
    at_work: bool = False  # a best coding is being made

    def clear(self, original: bytes) -> bytes:
        """The bytes in the clear; ``original`` are the stored page's."""
        return self.whole if self.whole is not None else render(original, self.splices)

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        coded = sum(len(one.data) for one in (*self.codings.values(), *self.best.values()))
        texts = sum(200 + len(one.text) for one in self.splices)
        return 900 + coded + texts + (len(self.whole) if self.whole is not None else 0)


def identify(page: bytes, splices: Sequence[Splice], whole: bytes | None = None) -> bytes:
    """What a variant is kept by: the page's digest and its edits with their resolved values; never the visitor."""
    digest = blake2b(page, digest_size=16)
    for one in splices:
        digest.update(b"%d-%d-%d " % (one.start, one.end, len(one.text)))
        digest.update(one.text)
    if whole is not None:
        digest.update(b"whole ")
        digest.update(whole)
    return digest.digest()


class Variants:
    """The variants of one worker, at most ``limit`` bytes, least recently used dropped first.

    ``executor`` makes best codings; what it has made is taken in when a variant is asked for next.
    """

    def __init__(self, executor: Executor, limit: int = VARIANTS_BYTES, full: Callable[[], object] = unheard) -> None:
        """``full`` is called when something is dropped, or not kept, for want of room."""
        self._variants: Bounded[bytes, Variant] = Bounded(limit, lambda one: one.weight, full)
        self._seams: Bounded[bytes, Seams] = Bounded(limit // 4, lambda one: 1000 + one.size, full)
        self._texts: LRUCache[bytes, Piece] = LRUCache(_TEXTS)
        self._executor = executor
        self._at_work = 0
        self._made: deque[tuple[Variant, Coded | None]] = deque()
        self._lock = threading.Lock()  # of ``_variants``; never held while bytes are compressed
        self._sewing = threading.Lock()  # of ``_seams`` and ``_texts``
        self.stitched = 0  # bodies made from pieces
        self.compressed = 0  # bodies compressed whole

    def __len__(self) -> int:
        return len(self._variants)

    @property
    def size(self) -> int:
        """Bytes of memory, about: variants, and pieces of pages."""
        return int(self._variants.currsize + self._seams.currsize)

    def get(self, key: bytes) -> Variant | None:
        """The variant of this key (``identify``), if it is kept."""
        with self._lock:
            self._settle()
            return self._variants.get(key)

    def add(self, key: bytes, splices: tuple[Splice, ...], clear: bytes, *, spliced: bool = True) -> Variant:
        """Keep a variant; ``clear`` are its bytes, kept only where the splices alone do not make them."""
        mark = blake2b(clear, digest_size=12).hexdigest()
        made = Variant(key, splices, mark, len(clear), None if spliced else clear)
        with self._lock:
            return self._keep(made)

    def forget(self, key: bytes) -> None:
        """Let go of a variant that was made for one request."""
        with self._lock:
            self._variants.pop(key, None)

    def kept(self, variant: Variant, original: Callable[[], bytes], accept_encoding: bytes | None) -> Coded | None:
        """What this visitor gets of what is there already; None: something has to be made (``coded``).

        ``original`` gives the stored page's bytes in the clear.  Begins the best coding for those who come again.
        """
        wanted = accepted(accept_encoding, BEST) if variant.length >= SMALLEST else ""
        with self._lock:
            self._settle()
            ready = variant.best.get(wanted)
            if ready is not None:
                return ready
            quick = variant.codings.get(accepted(accept_encoding) if wanted else "")
            start = quick is not None and not variant.at_work and self._at_work < MOST_AT_WORK
            if start:
                variant.at_work = True
                self._at_work += 1
        if start:
            self._begin(variant, original, wanted)
        return quick

    def coded(
        self, variant: Variant, page: bytes, original: Callable[[], bytes], accept_encoding: bytes | None
    ) -> Coded:
        """The variant in a coding that this visitor takes, kept or made the cheap way, here and now.

        ``page`` is the stored page's digest.
        """
        kept = self.kept(variant, original, accept_encoding)
        if kept is not None:
            return kept
        made = self._cheap(variant, page, original(), accepted(accept_encoding) if variant.length >= SMALLEST else "")
        with self._lock:
            # another thread may have been faster
            quick = (variant.codings if made.coding else variant.best).setdefault(made.coding, made)
            self._weigh(variant)
        return quick

    def clear(self) -> None:
        """Forget everything."""
        with self._lock, self._sewing:
            self._variants.clear()
            self._seams.clear()
            self._texts.clear()

    # ------------------------------------------------------------------ inside

    def _cheap(self, variant: Variant, page: bytes, original: bytes, coding: str) -> Coded:
        if not coding:
            return Coded("", "", variant.clear(original), respond.etag(variant.mark, ""))
        if coding == "gzip" and variant.whole is None and variant.length >= STITCHED_FROM:
            member = self._sewn(variant, page, original)
            if member is not None:
                self.stitched += 1
                # weak: cut at other places, by another worker say, it is the same page in other bytes
                return Coded(coding, "stitched", member, b"W/" + respond.etag(variant.mark, f"{coding}-stitched"))
        self.compressed += 1
        data = compress(variant.clear(original), coding)
        return Coded(coding, "cheap", data, respond.etag(variant.mark, coding))

    def _sewn(self, variant: Variant, page: bytes, original: bytes) -> bytes | None:
        """The variant as a stitched gzip member; None where it cannot be, or another thread is sewing just now."""
        if not self._sewing.acquire(blocking=False):
            return None
        try:
            seams = self._seams.get(page)
            if seams is None:
                seams = Seams()
            member = seams.member(original, variant.splices, self._texts)
            if member is not None:
                try:
                    self._seams[page] = seams  # weighed anew
                except ValueError:  # longer than all that may be kept
                    self._seams.pop(page, None)
            return member
        finally:
            self._sewing.release()

    def _keep(self, variant: Variant) -> Variant:
        try:
            self._variants[variant.key] = variant  # weighed anew
        except ValueError:
            self._variants.pop(variant.key, None)
        return variant

    def _settle(self) -> None:
        """Take in what was made in the background."""
        while self._made:
            variant, coded = self._made.popleft()
            variant.at_work = False
            self._at_work -= 1
            if coded is not None:
                variant.best[coded.coding] = coded
                variant.codings.pop(coded.coding, None)
                self._weigh(variant)

    def _weigh(self, variant: Variant) -> None:
        """It has become heavier; one that was dropped meanwhile stays so."""
        if self._variants.get(variant.key) is variant:
            self._keep(variant)

    # ------------------------------------------------------------------ in the background

    def _begin(self, variant: Variant, original: Callable[[], bytes], coding: str) -> None:
        def make() -> None:
            coded = None
            try:
                data = best(variant.clear(original()), coding)
                coded = Coded(coding, "best", data, respond.etag(variant.mark, f"{coding}-best"))
            except Exception:
                log.exception("compressing a variant")
            finally:
                self._made.append((variant, coded))

        try:
            self._executor.submit(make)
        except RuntimeError:  # the process is about to end
            self._made.append((variant, None))
