"""Whether a path that somebody has named is there, in words: never an exception.

Here: one look.  ``Path.is_dir`` and ``is_file`` raise where a folder on the way may not be gone into, which is the
first thing that happens to a service with a user of its own.  Called by settings, commands and the rule book.
"""

from __future__ import annotations

import errno
import stat
from pathlib import Path

__all__ = ["no_file", "no_folder"]


def no_folder(path: Path) -> str:
    """Why this is no folder, to follow its name; "" where it is one (whether it can be listed is another matter)."""
    return _looked(path, stat.S_IFDIR, "is not a folder")


def no_file(path: Path) -> str:
    """As ``no_folder``, for a file."""
    return _looked(path, stat.S_IFREG, "is not a file")


def _looked(path: Path, wanted: int, otherwise: str) -> str:
    try:
        return "" if stat.S_IFMT(path.stat().st_mode) == wanted else otherwise
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return otherwise
        return f"cannot be reached: {error.strerror or error}"
    except ValueError:  # a NUL in it
        return otherwise
