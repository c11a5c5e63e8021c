"""Where work on a page is done: here and now, on the event loop, or in a thread so that the loop goes on.

Here: what each kind of work costs, from which size on it is long, and the thread.  Not here: any of the work.  Called
by whoever works on whole pages; the only place that decides it.

Figures (``python -m tests.benchmarks waits``, ``ways``; 2 cores, CPython 3.11, turbohtml 1.15; undisturbed, one run)
------------------------------------------------------------------------------------------------------------------
What it costs, µs for each KB of the page in the clear: ``Work``.  A page that is read costs 0.3 ms more, whatever its
size.  A hop to the thread and back costs 25 to 35 µs while nobody else wants the interpreter.

Codecs and digests let go of the interpreter lock (GIL) while they work.  turbohtml and ``re`` hold it for all of a
call, so while a page is parsed (0.4 ms at 100 KB, 1.5 at 400 KB, 9 at 2 MB) the loop waits, wherever that is done.
Pages never seen: what others wait for a kept page meanwhile (p99, ms), and what each costs (ms of processor, eight
connections at once), on the loop, in a thread, and in one that is told to let go every 0.5 ms:

              others wait               it costs
    100 KB    3.2    2.5    1.8         1.9    3.4    3.8
    200 KB                              3.0    3.1    5.8
    400 KB    5.3    5.7    4.0         5.3           10.3
    1 MB      10     13     9.8         13     12     19
    2 MB      22     13     13

So below 200 KB a thread costs nearly as much again as the page, since it and the loop take the lock from each other,
and others gain a millisecond at most; letting go often doubles the cost of every page.  From 200 KB on it costs
nothing, and gives what the GIL lets it: others wait half as long beside the biggest pages.  For more it takes a parser
that lets go of the lock, or a Python without one.  One thread, not several: more would only take it from each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from functools import partial
from typing import Final, ParamSpec, TypeVar

__all__ = ["LONG", "OFTEN", "Work", "is_long", "run"]

LONG: Final = 2500
"""Microseconds from which on work is done in the thread."""

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
