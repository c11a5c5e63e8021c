"""Where work on a page is done: here and now, on the event loop, or in a thread so that the loop goes on.

Here: what each kind of work costs, from which size on it is long, and the thread.  Not here: any of the work.  Called
by whoever works on whole pages; the only place that decides it.

Figures (``python -m tests.benchmarks waits``; 2 cores, CPython 3.11, turbohtml 1.15; undisturbed, one run)
--------------------------------------------------------------------------------------------------------
What it costs, µs for each KB of the page in the clear: ``Work``.  A page that is read costs 0.3 ms more, whatever its
size.  A hop to the thread and back costs 25 to 35 µs.

Codecs and digests let go of the interpreter lock (GIL) while they work.  turbohtml and ``re`` hold it for all of a
call, so while a page is parsed (0.4 ms at 100 KB, 1.5 at 400 KB, 9 at 2 MB) the loop waits, wherever that is done.
What others wait for a kept page while pages never seen come in, p99 in ms, and what those pages take, median:

    never seen             on the loop     in a thread    in a thread that lets go every 0.5 ms
    100 KB, 100 a second    3.2   4.8       2.5   6.4      1.8   6.3
    400 KB, 30 a second     5.3   12        5.7   15       4.0   15
    1 MB, 10 a second        10   26         13   32       9.8   32
    2 MB, 5 a second         22   57         13   62        13   62

So a thread alone gives little; with ``SWITCH`` it halves what others wait at 100 KB and at 2 MB, for a third more time
of the page itself while both compete.  The rest is the parser's, until it lets go of the lock or Python has none.  One
thread, not several: more would only take the lock from each other and from the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from functools import partial
from typing import Final, ParamSpec, TypeVar

__all__ = ["LONG", "OFTEN", "SWITCH", "Work", "is_long", "run"]

LONG: Final = 1000
"""Microseconds from which on work is done in the thread."""
SWITCH: Final = 0.0005
"""Seconds after which a thread that computes lets the loop have the interpreter (``sys.setswitchinterval``)."""

OFTEN: Final = 5
"""How many times smaller a coded page often is: what is told by its size before it is decoded."""

P = ParamSpec("P")
R = TypeVar("R")


class Work(Enum):
    """Kinds of work on a page, and microseconds for each KB of it."""

    READ = 12  # parse, plan, place, splice, code: a page of which nothing is known
    SHOW = 40  # the same for a preview, whose bar takes a second parse or a third
    SEARCH = 7  # look through it for what belongs to one visitor
    CODE = 1  # what is known of it already is spliced and coded; a coding is undone, a digest made


_THREAD: Final = ThreadPoolExecutor(1, thread_name_prefix="pages")


def is_long(work: Work, size: int) -> bool:
    """Whether ``work`` on a page of ``size`` bytes (in the clear, about) would keep the loop waiting."""
    return size * work.value >= LONG * 1024


async def run(work: Work, size: int, do: Callable[P, R], *args: P.args, **more: P.kwargs) -> R:
    """``do(…)``, here or in the thread; raises what it raises."""
    if is_long(work, size):
        return await asyncio.get_running_loop().run_in_executor(_THREAD, partial(do, *args, **more))
    return do(*args, **more)
