"""What an operator sets: flags and environment → ``Settings``, every problem at once.

Here: the table of all options (``OPTIONS``; argparse, ``--help`` and the README's table come from it), the limits
with their defaults, and ``Settings.gather``.  Not here: rules (they are files), and what the values do.  Secrets come
from the environment alone, and stand in no ``repr`` and no problem.  Called by the verbs ``serve`` and ``demo``.

A flag wins over its variable: ``--limit-header-bytes 64KB``, ``EDGEPROXY_LIMIT_HEADER_BYTES=64KB``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self

from edgeproxy import values
from edgeproxy.core.durations import DAY
from edgeproxy.core.model import Problem, Where
from edgeproxy.core.visitor import BadKey, CookieSettings, Keys
from edgeproxy.values import Address, Network, Unfit

__all__ = ["OPTIONS", "Limits", "Option", "Settings", "add_arguments", "keys_text", "markdown_table", "read_keys"]

LISTEN: Final = Address("127.0.0.1", 8080)
ADMIN: Final = Address("127.0.0.1", 8081)
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _limit(default: float, unit: str, says: str) -> Any:
    return field(default=default, metadata={"unit": unit, "says": says})


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a visitor or the shop may go.  Bytes, seconds or counts, as the name says; 0 where it says so: none."""

    # the visitor's side
    header_bytes: int = _limit(32 * 1024, "size", "bytes of a request's head")
    header_lines: int = _limit(100, "count", "header lines of a request")
    target_bytes: int = _limit(16 * 1024, "size", "bytes of a request's path and query")
    header_seconds: float = _limit(10, "seconds", "time to a full head, from the connection or its first byte")
    idle_seconds: float = _limit(5, "seconds", "a connection without a request is kept so long")
    idle_trusted_seconds: float = _limit(75, "seconds", "the same for a trusted proxy in front")
    body_bytes: int = _limit(100 * 1024**2, "size", "bytes of a request's body (0: no limit)")
    rate_bytes: int = _limit(500, "size", "bytes a second that a visitor must send or take")
    rate_seconds: float = _limit(10, "seconds", "the time over which that rate is judged")
    linger_seconds: float = _limit(2, "seconds", "after a refusal, what still comes is read and dropped so long")
    connections: int = _limit(8192, "count", "open connections")
    connections_per_address: int = _limit(256, "count", "open connections of one address (0: no limit)")
    requests: int = _limit(1024, "count", "requests at work at once; one more is told to come back")
    drain_seconds: float = _limit(30, "seconds", "a stop waits so long for open requests")
    hang_seconds: float = _limit(30, "seconds", "a worker that answers nothing for so long is killed and replaced")
    # the shop's side
    page_bytes: int = _limit(
        2 * 1024**2, "size", "bytes of an HTML page that is rewritten; a longer one passes as it is"
    )
    origin_connect_seconds: float = _limit(2, "seconds", "time to a connection with the shop")
    origin_answer_seconds: float = _limit(60, "seconds", "time to the shop's answer where it is no page (a payment)")
    origin_idle_seconds: float = _limit(60, "seconds", "longest silence inside an answer that streams")
    origin_rate_bytes: int = _limit(1024, "size", "bytes a second that the shop must send")
    origin_rate_seconds: float = _limit(30, "seconds", "the time over which that rate is judged")
    origin_header_bytes: int = _limit(64 * 1024, "size", "bytes of an answer's head")
    origin_connections: int = _limit(256, "count", "open connections to each address of the shop")
    origin_connection_seconds: float = _limit(
        300, "seconds", "a connection to the shop is used so long, so that a name that moves is noticed"
    )
    origin_failures: int = _limit(
        5, "count", "failures in a row after which an address of the shop is left out, if it has others"
    )
    origin_out_seconds: float = _limit(10, "seconds", "it is left out so long, twice as long the next time…")
    origin_out_most_seconds: float = _limit(300, "seconds", "…up to so long")
    origin_health_seconds: float = _limit(10, "seconds", "between two checks of the health path, and for each")
    upgrades: int = _limit(512, "count", "upgraded connections (WebSocket) to each address of the shop")
    upgrade_idle_seconds: float = _limit(300, "seconds", "an upgraded connection may be silent so long")


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that can be set; ``field`` is its name in ``Settings`` (or in ``Limits``, after ``limit_``)."""

    field: str
    parse: Callable[[str], Any]
    says: str
    metavar: str = ""
    default: str | None = None  # as an operator would write it; None: nothing
    many: bool = False  # may be repeated; in its variable, separated by commas
    secret: bool = False  # from the environment alone
    group: str = ""

    @property
    def flag(self) -> str:
        return "" if self.secret else "--" + self.field.removesuffix("_").replace("_", "-")

    @property
    def variable(self) -> str:
        return "EDGEPROXY_" + self.field.upper()


_UNITS: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "size": (values.size, "SIZE"),
    "seconds": (values.seconds, "SECONDS"),
    "count": (values.count, "N"),
}


def _written(value: float, unit: str) -> str:
    """A limit's default as an operator would write it."""
    if unit == "size":
        for factor, letter in ((1024**2, "MB"), (1024, "KB")):
            if value >= factor and value % factor == 0:
                return f"{int(value) // factor}{letter}"
    return f"{value:g}"


def _limit_options() -> Iterable[Option]:
    for each in fields(Limits):
        unit = each.metadata["unit"]
        parse, metavar = _UNITS[unit]
        assert each.default is not MISSING
        default = _written(each.default, unit)
        yield Option("limit_" + each.name, parse, each.metadata["says"], metavar, default, group="limits")


OPTIONS: Final[tuple[Option, ...]] = (
    Option("origin", values.origin, "the shop's own address, or each of several", "URL", many=True),
    Option("rules", Path, "the rules folder", "DIR", "rules"),
    Option("listen", values.address, "where visitors reach the proxy", "HOST:PORT", str(LISTEN)),
    Option("admin", values.address, "where health and metrics are answered", "HOST:PORT", str(ADMIN)),
    Option(
        "hosts",
        values.host_pattern,
        "a name that visitors use, or *.name for all below it; needed unless it listens on loopback",
        "NAME",
        many=True,
    ),
    Option(
        "trust",
        values.network,
        "a proxy in front whose X-Forwarded-For, -Proto and country header are believed",
        "NETWORK",
        many=True,
    ),
    Option(
        "preview",
        values.one_of("token", "open"),
        "who may preview: whoever has a token, or, on loopback, anybody",
        "token|open",
        "token",
    ),
    Option(
        "workers",
        values.workers,
        "processes that serve, each with limits of its own (default: one per usable core)",
        "N",
    ),
    Option(
        "tls_cert", Path, "certificate and chain (PEM) for https on our own listener; read when it changes too", "FILE"
    ),
    Option("tls_key", Path, "its private key (PEM)", "FILE"),
    Option(
        "keys_file",
        Path,
        "a file with what EDGEPROXY_KEYS would hold, or a key on each line; read again when it changes",
        "FILE",
    ),
    Option("methods", values.method, "a method to forward beside the usual ones", "METHOD", many=True),
    Option("log", values.one_of("text", "json"), "how the access log is written", "text|json", "text", group="log"),
    Option(
        "log_addresses",
        values.one_of("short", "full"),
        "visitors' addresses in the log: their network, or whole",
        "short|full",
        "short",
        group="log",
    ),
    Option("origin_host", values.origin_host, "a Host to send to the shop, not the visitor's", "NAME", group="shop"),
    Option("origin_ca", Path, "certificates that may vouch for the shop instead of the system's", "FILE", group="shop"),
    Option("origin_health", values.path, "a path that tells whether an address is well", "PATH", group="shop"),
    Option(
        "upgrade",
        values.one_of("relay", "refuse"),
        "requests to go on in another protocol (WebSocket): relayed, or answered without it",
        "relay|refuse",
        "relay",
        group="shop",
    ),
    Option("deadline", values.seconds, "a page must be there after so long", "SECONDS", "30", group="shop"),
    Option(
        "via",
        lambda text: values.token(text) if text else "",
        'our name in the Via of answers and in the CDN-Loop of requests to the shop, "" for neither',
        "NAME",
        "edgeproxy",
        group="shop",
    ),
    Option(
        "country_header",
        lambda text: values.token(text).lower(),
        "the header in which a trusted proxy tells the visitor's country",
        "NAME",
        group="visitors",
    ),
    Option("cookie_name", values.token, "the visitor cookie's name", "NAME", "edge_visitor", group="visitors"),
    Option("cookie_domain", values.host_pattern, "the Domain of cookies that we set", "NAME", group="visitors"),
    Option(
        "cookie_max_age",
        values.seconds,
        "a visitor cookie is believed so long",
        "DURATION",
        "400 days",
        group="visitors",
    ),
    Option(
        "admin_hosts",
        values.host_pattern,
        "a name under which the admin listener may be asked",
        "NAME",
        many=True,
        group="admin",
    ),
    Option("keys", Keys.parse, "keys that sign visitor cookies, comma-separated, the oldest first", secret=True),
    Option(
        "admin_token",
        str,
        "asked for (Authorization: Bearer …) by everything but health on the admin listener; needed off loopback",
        secret=True,
        group="admin",
    ),
    *_limit_options(),
)  # fmt: skip

_FLAGS: Final = {"hosts": "--host", "methods": "--method", "admin_hosts": "--admin-host"}  # singular: one per flag


def flag_of(option: Option) -> str:
    """The option's flag, ``""`` for a secret."""
    return _FLAGS.get(option.field, option.flag)


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
    preview: str = "token"  # or "open"
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
    via: str = "edgeproxy"  # "": none
    country_header: str | None = None  # lower-case
    cookie_name: str = "edge_visitor"
    cookie_domain: str | None = None
    cookie_max_age: float = 400 * DAY
    admin_hosts: tuple[str, ...] = ()
    admin_token: str | None = field(default=None, repr=False)
    limits: Limits = Limits()

    @property
    def origins(self) -> tuple[str, ...]:
        """Every address of the shop."""
        return (self.origin, *self.further_origins)

    @property
    def cookie(self) -> CookieSettings:
        """Name and age of the visitor cookie, as ``core.visitor`` takes them."""
        return CookieSettings(self.cookie_name, self.cookie_max_age)

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
        problems += _missing(found, wrong) + _impossible(found, limits)
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


def _missing(found: Mapping[str, Any], wrong: set[str]) -> list[Problem]:
    """What has to be said and was not (nor said wrongly, which is told already)."""
    problems = []
    if "origin" not in found and not wrong & {"--origin", "EDGEPROXY_ORIGIN"}:
        what = "the shop's address is missing"
        problems.append(Problem(Where("--origin"), what, hint="give it like --origin https://shop-behind.example"))
    if "keys" not in found and "EDGEPROXY_KEYS" not in wrong and "keys_file" not in found:
        what = "there is no key, so no visitor cookie could be believed"
        how = 'make one: export EDGEPROXY_KEYS="$(edgeproxy key)", or put it into a file and name that: --keys-file'
        problems.append(Problem(Where("EDGEPROXY_KEYS"), what, hint=how))
    listen: Address | None = found.get("listen")
    if listen and not listen.is_loopback and not found.get("hosts") and not wrong & {"--host", "EDGEPROXY_HOSTS"}:
        what = f"{listen} can be reached from outside, and no name is given under which visitors come"
        problems.append(
            Problem(Where("--host"), what, hint="give each one: --host shop.example --host www.shop.example")
        )
    return problems  # fmt: skip


def _impossible(found: Mapping[str, Any], limits: Mapping[str, Any]) -> list[Problem]:
    """What each is a good value, and together cannot be."""
    problems = []

    def no(place: str, what: str, hint: str) -> None:
        problems.append(Problem(Where(place), what, hint=hint))

    listen: Address | None = found.get("listen")
    admin: Address | None = found.get("admin")
    rules: Path | None = found.get("rules")
    authority: Path | None = found.get("origin_ca")
    if listen and admin and listen == admin and listen.port:
        no("--admin", f"{admin} is where visitors are served", "give it a port of its own, like 127.0.0.1:8081")
    origins = {found.get("origin"), *found.get("further_origins", ())} - {None}
    if listen and listen.port and origins & {f"http://{listen}", f"http://localhost:{listen.port}"}:
        no("--origin", "the shop's address is the proxy's own", "name the address where the shop itself listens")
    if len({str(each).partition(":")[0] for each in origins}) > 1:
        what = "the shop is reached by http here and by https there"
        no("--origin", what, "one shop's addresses are all the one or all the other")
    if admin and not admin.is_loopback and not found.get("admin_token"):
        what = f"{admin} can be reached from outside, and no token is set"
        no("EDGEPROXY_ADMIN_TOKEN", what, "set one of 16 or more characters, or listen on loopback")
    if found.get("admin_token") and len(found["admin_token"]) < 16:
        no("EDGEPROXY_ADMIN_TOKEN", "the token is too short", "take 16 or more characters; `edgeproxy key` makes some")
    if found.get("preview") == "open" and listen and not listen.is_loopback:
        what = f"open previews need no token, and {listen} can be reached from outside"
        no("--preview", what, "listen on loopback, or leave it at token and make links with `edgeproxy preview`")
    if rules is not None and not rules.is_dir():
        no("--rules", f"{rules} is not a folder", "name the rules folder, or make one: edgeproxy init --origin URL")
    if authority is not None and not authority.is_file():
        no("--origin-ca", f"{authority} is not a file", "name a file with PEM certificates")
    for one, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if found.get(one) and not found.get(other):
            no("--" + other.replace("_", "-"), "a certificate and its key go together, and one is missing", "name both")
    if found.get("country_header") and not found.get("trust"):
        what = "a country header is believed from trusted proxies only, and none is named"
        no("--country-header", what, "name the proxy in front: --trust 10.0.0.0/8")
    name: str = found.get("cookie_name", "")
    if name.startswith("__Host-") and found.get("cookie_domain"):
        no(
            "--cookie-domain",
            f"a cookie named {name} may have no Domain",
            "leave one of the two out (RFC 6265bis, 4.1.3)",
        )
    if name in ("edge_state", "edge_preview"):
        no("--cookie-name", f"{name} is a cookie of our own", "take another name")
    for each in fields(Limits):
        if limits.get(each.name, 1) == 0 and "0: no limit" not in each.metadata["says"]:
            no("--limit-" + each.name.replace("_", "-"), "0 would let nothing through", "leave it out for the default")
    return problems  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A flag for every option that is no secret; values stay text until ``gather`` judges all at once."""
    groups = {"": parser.add_argument_group("what is served")}
    for option in OPTIONS:
        if option.secret:
            continue
        group = groups.get(option.group) or groups.setdefault(option.group, parser.add_argument_group(option.group))
        says = option.says + (f" (default: {option.default})" if option.default else "")
        says += "; may be repeated" if option.many else ""
        group.add_argument(
            flag_of(option),
            dest=option.field,
            action="append" if option.many else "store",
            metavar=option.metavar,
            help=says.replace("%", "%%"),
        )
    secrets = [f"{option.variable}: {option.says}" for option in OPTIONS if option.secret]
    parser.epilog = "\n".join(
        filter(
            None,
            (
                parser.epilog,
                "from the environment alone:",
                *(f"  {line}" for line in secrets),
                "Every flag has a variable too: EDGEPROXY_ORIGIN, EDGEPROXY_LIMIT_HEADER_BYTES, …",
            ),
        )
    )


def markdown_table() -> str:
    """The README's table of all options: flag, variable, default, meaning."""
    lines = ["| flag | variable | default | |", "|---|---|---|---|"]
    for option in OPTIONS:
        flag = f"`{flag_of(option)}`" if flag_of(option) else ""
        default = f"`{option.default}`" if option.default else ""
        says = option.says.replace("|", "\\|")
        lines.append(f"| {flag} | `{option.variable}` | {default} | {says} |")
    return "\n".join(lines) + "\n"
