"""`edgeproxy key`, `cookie` and `preview`: making and reading what is signed.

Each is a function of its arguments, the text of EDGEPROXY_KEYS and the moment; it writes to the given streams and
returns the exit code (0 fine, 1 the value is not believed, 2 wrong usage).  What a script would take goes to ``out``,
alone; words for people go to ``err``.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TextIO
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from edgeproxy.core import durations, schedule, state
from edgeproxy.core.flags import PreviewFlags, read_flags
from edgeproxy.core.model import Source
from edgeproxy.core.signing import BadKey, Keys
from edgeproxy.core.state import StateSettings
from edgeproxy.core.tokens import Token, link
from edgeproxy.core.visitor import CookieSettings, NotSignable, explain_value, read_value, sign

KEY_BYTES = 32


def run_key(out: TextIO) -> int:
    """Print a new key: 32 random bytes in hexadecimal, which no shell, file format or language takes apart."""
    print(secrets.token_hex(KEY_BYTES), file=out)
    return 0


def run_cookie(
    *,
    stage: str | None,
    segments: Sequence[str],
    id: str | None,  # noqa: A002 - the cookie's own word
    keys: str,
    now: float,
    out: TextIO,
    err: TextIO,
) -> int:
    """Print the bare value of a visitor cookie, signed by the newest key of ``keys``."""
    try:
        print(sign(Keys.parse(keys), now, stage=stage, segments=segments, id=id), file=out)
    except (BadKey, NotSignable) as problem:
        return _usage(err, "cookie", str(problem))
    return 0


def run_cookie_read(
    value: str,
    *,
    keys: str,
    now: float,
    out: TextIO,
    err: TextIO,
    settings: CookieSettings | None = None,
) -> int:
    """Explain one value (``edge_visitor=`` before it is allowed): each of its parts, or why it is disbelieved.

    ``edge_state=`` before it says that it is one of edgeproxy's own.
    """
    settings = settings or CookieSettings()
    try:
        parsed = Keys.parse(keys)
    except BadKey as problem:
        return _usage(err, "cookie", str(problem))
    if value.strip().removeprefix("__Host-").startswith(f"{StateSettings().name}="):
        remembered = value.strip().partition("=")[2].encode("utf-8", "replace")
        lines = state.explain_value(remembered, parsed, now)
        print(*lines, sep="\n", file=out)
        return 0 if lines[0].startswith("believed") else 1
    bare = value.strip().removeprefix(f"{settings.name}=").encode("utf-8", "replace")
    for line in explain_value(bare, parsed, now, settings):
        print(line, file=out)
    return 0 if read_value(bare, parsed, now, settings).source is Source.COOKIE else 1


def run_preview_link(
    url: str,
    *,
    stage: str | None = None,
    segments: Sequence[str] = (),
    persona: str | None = None,
    experience: str | None = None,
    without: Sequence[str] = (),
    at: str | None = None,
    off: bool = False,
    explain: bool = False,
    rules: str | None = None,
    any: bool = False,  # noqa: A002 - the flag's own word
    expires: str = "7d",
    keys: str,
    now: float,
    out: TextIO,
    err: TextIO,
) -> int:
    """Print a signed link to ``url`` that shows exactly these flags, or with ``any`` gives leave to use all of them."""
    wanted = PreviewFlags(
        stage=stage,
        segments=tuple(segments) if segments else None,
        persona=persona,
        experience=experience,
        without=tuple(without),
        at=at,
        off=off,
        explain=explain,
        rules=rules or None,
    )
    try:
        parts = urlsplit(url)
        parsed = Keys.parse(keys)
        lasts = durations.parse(expires)
        if at is not None:
            schedule.from_text(at, ZoneInfo("UTC"))  # its form; the shop's own timezone is known where it is shown
    except ValueError as problem:  # BadKey, NotADuration and MomentError too
        return _usage(err, "preview", str(problem))
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return _usage(err, "preview", f'"{url}" is no address: write it like https://shop.example/c/boots')
    flags, problems = read_flags(wanted.pairs())
    if problems:
        return _usage(err, "preview", "; ".join(problems))
    if flags == PreviewFlags() and not any:
        return _usage(err, "preview", "say what to preview, like --stage new, or --any for leave to use all flags")
    token = Token(flags, any, int(now + lasts))
    try:
        print(link(url, token, parsed), file=out)
    except ValueError as problem:
        return _usage(err, "preview", str(problem))
    until = schedule.as_text(float(token.expires), ZoneInfo("UTC"))
    print(f"good for {durations.words(lasts)}, until {until}; whoever has it can look", file=err)
    return 0


def _usage(err: TextIO, verb: str, words: str) -> int:
    print(f"edgeproxy {verb}: {words}", file=err)
    return 2
