"""What an operator sets: flags and environment → ``Settings``, every problem at once.

Here: ``Settings`` and ``Settings.gather``.  Beside it: the limits with their defaults (``limits``), the table of all
options (``options``), what cannot be together (``contradictions``).  Not here: rules (they are files), and what the
values do.  Secrets come from the environment alone, and stand in no ``repr`` and no problem.  Called by the verbs
``serve`` and ``demo``.

A flag wins over its variable: ``--limit-header-bytes 64KB``, ``EDGEPROXY_LIMIT_HEADER_BYTES=64KB``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from edgeproxy.core.durations import DAY
from edgeproxy.core.model import Problem, Where
from edgeproxy.core.state import StateSettings
from edgeproxy.core.visitor import BadKey, CookieSettings, Keys
from edgeproxy.settings.contradictions import impossible, missing
from edgeproxy.settings.limits import Limits
from edgeproxy.settings.options import ADMIN, LISTEN, OPTIONS, Option, add_arguments, flag_of, markdown_table
from edgeproxy.values import Address, Network, Unfit

__all__ = [
    "METHODS",
    "OPTIONS",
    "Limits",
    "Option",
    "Settings",
    "add_arguments",
    "flag_of",
    "keys_text",
    "markdown_table",
    "read_keys",
]

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that `serve` and `demo` were told; made by ``gather``, never changed."""

    origin: str  # "http://host:port", no slash at its end
    rules: Path
    keys: Keys = field(repr=False)
    listen: Address = LISTEN
    admin: Address = ADMIN
    hosts: tuple[str, ...] = ()  # names, lower-case, and "*.name"; (): any
    trust: tuple[Network, ...] = ()
    proxy_protocol: str = "off"  # or "on"
    preview: str = "token"  # or "open"
    drafts: Path | None = None  # a folder of rules folders, or a repository
    workers: int | None = None  # None: one per usable core
    tls_cert: Path | None = None
    tls_key: Path | None = None
    keys_file: Path | None = None  # where ``keys`` were read from
    methods: frozenset[str] = METHODS
    log: str = "text"  # or "json"
    log_addresses: str = "short"  # or "full"
    origin_host: str | None = None
    origin_ca: Path | None = None
    further_origins: tuple[str, ...] = ()  # other addresses of the same shop
    origin_health: str | None = None  # a path
    upgrade: str = "relay"  # or "refuse"
    deadline: float = 30.0
    early_flush: float = 0.005  # seconds; 0: never
    via: str = "edgeproxy"  # "": none
    country_header: str | None = None  # lower-case
    cookie_name: str = "edge_visitor"
    cookie_domain: str | None = None
    cookie_max_age: float = 400 * DAY
    admin_hosts: tuple[str, ...] = ()
    admin_token: str | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)

    @property
    def origins(self) -> tuple[str, ...]:
        """Every address of the shop."""
        return (self.origin, *self.further_origins)

    @property
    def cookie(self) -> CookieSettings:
        """Name and age of the visitor cookie, as ``core.visitor`` takes them."""
        return CookieSettings(self.cookie_name, self.cookie_max_age)

    @property
    def state_cookie(self) -> StateSettings:
        """Name of our own cookie: protected from sibling hosts where the visitor cookie is (RFC 6265bis, 4.1.3.2)."""
        return StateSettings("__Host-edge_state") if self.cookie_name.startswith("__Host-") else StateSettings()

    @classmethod
    def gather(
        cls, args: argparse.Namespace, environ: Mapping[str, str], *, given: Mapping[str, object] | None = None
    ) -> Self | tuple[Problem, ...]:
        """Settings, or every problem at once.

        ``args`` has the texts that ``add_arguments`` collected (missing or None: not said); ``given`` are values
        that a verb provides itself, by field name (`demo`: the shop, its keys), which nobody need set.
        """
        found: dict[str, Any] = {}
        limits: dict[str, Any] = {}
        problems: list[Problem] = []
        for option in OPTIONS:
            if given is not None and option.field in given:
                continue
            place, texts = _texts(option, args, environ)
            parsed = []
            for text in texts:
                try:
                    parsed.append(option.parse(text))
                except ValueError as problem:  # Unfit, or a key that must not be one
                    hint = problem.hint if isinstance(problem, Unfit) else ""
                    problems.append(Problem(Where(place), str(problem), hint=hint))
            if len(parsed) < len(texts) or not texts:
                continue
            value = tuple(parsed) if option.many else parsed[-1]
            if option.field.startswith("limit_"):
                limits[option.field.removeprefix("limit_")] = value
            else:
                found[option.field] = value
        if "keys_file" in found and "keys" not in found:
            try:
                found["keys"] = read_keys(found["keys_file"])
            except BadKey as problem:
                problems.append(Problem(Where(str(found["keys_file"])), str(problem)))
        elif "keys_file" in found:
            what = "keys are given here and in EDGEPROXY_KEYS"
            problems.append(Problem(Where("--keys-file"), what, hint="leave one of the two out"))
        if "origin" in found:
            found["origin"], *further = dict.fromkeys(found["origin"])
            found["further_origins"] = tuple(further)
        found["methods"] = METHODS | set(found.get("methods", ()))
        found |= given or {}
        wrong = {problem.where.file for problem in problems}
        problems += missing(found, wrong) + impossible(found, limits)
        if problems:
            return tuple(problems)
        return cls(**found, limits=Limits(**limits))


def read_keys(path: Path) -> Keys:
    """Keys from a file: separated by commas or line ends, the oldest first; raises BadKey (also for no file)."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadKey(f"cannot be read: {getattr(problem, 'strerror', None) or 'it is not UTF-8'}") from None
    return Keys.parse(",".join(stripped for line in text.splitlines() if (stripped := line.strip(" \t,"))))


def keys_text(environ: Mapping[str, str]) -> str:
    """What ``EDGEPROXY_KEYS`` holds, or the file that ``EDGEPROXY_KEYS_FILE`` names; raises BadKey where it cannot."""
    if environ.get("EDGEPROXY_KEYS") or not environ.get("EDGEPROXY_KEYS_FILE"):
        return environ.get("EDGEPROXY_KEYS", "")
    keys = read_keys(Path(environ["EDGEPROXY_KEYS_FILE"]))
    return ",".join(secret.decode() for secret in keys.secrets)


def _texts(option: Option, args: argparse.Namespace, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Where the option was said, and its texts; a flag wins over its variable, both over the default."""
    said = None if option.secret else getattr(args, option.field, None)
    if said:
        return flag_of(option), list(said) if isinstance(said, list) else [said]
    if said == "":  # `--via ""` is an answer
        return flag_of(option), [said]
    text = environ.get(option.variable, "")
    if text.strip():
        parts = [part.strip() for part in text.split(",")] if option.many else [text]
        return option.variable, [part for part in parts if part]
    return flag_of(option) or option.variable, [] if option.default is None else [option.default]
