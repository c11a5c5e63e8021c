"""Cases of tests/cases/mistakes: small rules folders and exactly what is told of them.

A file holds several.  ``=== a sentence`` begins one; ``--- shop.toml`` is followed by that file's text, which takes
the place of the one in base/; ``(absent)`` takes it away, ``(bytes)`` writes bytes as Python escapes, ``(deep)``
appends a list nested beyond all reason and ``(dots)`` a key of that kind; ``--- problems`` is followed by the lines
that must be told, in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parents[1] / "cases" / "mistakes"
DEEP = 5000


@dataclass(frozen=True)
class Case:
    title: str
    files: Mapping[str, bytes]
    problems: list[str]


def base() -> dict[str, bytes]:
    """A folder without a mistake and without a warning."""
    return folder_of(HERE / "base")


def folder_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


def read_cases(file: Path) -> Iterator[Case]:
    """The cases of one file."""
    _, *texts = ("\n" + file.read_text()).split("\n=== ")
    for text in texts:
        title, _, body = text.partition("\n")
        files = base()
        problems: list[str] = []
        for part in ("\n" + body).split("\n--- ")[1:]:
            head, _, content = part.partition("\n")
            name, _, how = head.partition(" (")
            content = content.rstrip("\n") + "\n" if content.strip() else ""
            if name == "problems":
                problems = content.splitlines()
            elif how == "absent)":
                del files[name]
            elif how == "bytes)":
                files[name] = content.rstrip("\n").encode().decode("unicode_escape").encode("latin-1")
            elif how == "deep)":
                files[name] = f"{content.rstrip()} {'[' * DEEP}{']' * DEEP}\n".encode()
            elif how == "dots)":
                files[name] = f"{content.rstrip()}{'a.' * 100_000}a".encode()
            else:
                files[name] = content.encode()
        yield Case(title, files, problems)
