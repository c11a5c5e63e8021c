"""Cookie lines as bytes: finding one name, and taking names out again.

Here: the small part of RFC 6265 that a server side needs, lenient and never raising, since browsers, scripts and
old middleware send every shape there is.  Not here: what a value means (``visitor``, ``preview``).
Called by ``visitor.read``, ``preview.apply`` and by whoever forwards a request's head to the shop.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence


def values(lines: Sequence[bytes], name: bytes) -> list[bytes]:
    """Every value that cookies of this name have, over all ``Cookie`` lines, in order (RFC 6265, 4.2 and 5.4).

    A pair without ``=`` that is the bare name counts as a copy with an empty value: a doubled cookie must not
    become a single one because one copy is malformed.  Names are case-sensitive; nothing is unquoted or decoded.
    """
    found: list[bytes] = []
    size = len(name)
    for line in lines:
        start = 0
        # Straight to each place where the name stands: visitors bring twenty other cookies.
        while (at := line.find(name, start)) >= 0:
            begin = line.rfind(b";", start, at) + 1 or start
            end = line.find(b";", at)
            if end < 0:
                end = len(line)
            # All whitespace around the name, as lenient readers take it: what the shop could read as a copy is one.
            if not line[begin:at].strip():
                key, _, value = line[at + size : end].partition(b"=")
                if not key.strip():
                    found.append(value.strip(b" \t"))
            start = end
    return found


def without(line: bytes, names: Collection[bytes]) -> bytes:
    """The ``Cookie`` line less the cookies of these names; the rest keeps its bytes and its order.

    The very same object comes back when none is in it; ``b""`` when nothing remains (send no line then).
    """
    if not any(name in line for name in names):
        return line
    pairs = line.split(b";")
    kept = [pair for pair in pairs if pair.partition(b"=")[0].strip() not in names]
    if len(kept) == len(pairs):
        return line
    return b";".join(kept).strip(b" \t")
