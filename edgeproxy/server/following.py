"""Files that are read again when they change: a few, looked at once a second.

A rules folder is watched by ``rulebook`` instead.  Called for keys and certificates by ``news``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

__all__ = ["follow"]

LOOK: Final = 1.0  # seconds between two looks


async def follow(files: Sequence[Path | None], take: Callable[[], Awaitable[object]]) -> None:
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
