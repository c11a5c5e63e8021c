"""The table of everything that can be set: flag, variable, default, meaning.

Here: ``OPTIONS``; argparse, ``--help`` and the README's table come from it.  Not here: the values that were said
(``Settings``), how a text is read (``values``).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Final

from edgeproxy import values
from edgeproxy.core.visitor import Keys
from edgeproxy.settings.limits import Limits
from edgeproxy.values import Address

__all__ = ["ADMIN", "LISTEN", "OPTIONS", "Option", "add_arguments", "flag_of", "markdown_table"]

LISTEN: Final = Address("127.0.0.1", 8080)
ADMIN: Final = Address("127.0.0.1", 8081)


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
    Option("drafts", Path, "drafts of the rules, for previews: their folder, or a repository with branches", "DIR"),
    Option("listen", values.address, "where visitors reach the proxy", "HOST:PORT", str(LISTEN)),
    Option("admin", values.address, "where the console, health and metrics are", "HOST:PORT", str(ADMIN)),
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
        "proxy_protocol",
        values.one_of("off", "on"),
        "whether trusted proxies begin each connection with the PROXY protocol (v1 or v2), and tell the visitor by it",
        "off|on",
        "off",
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
        "early_flush",
        values.seconds_or_never,
        "a page that the shop is still sending after so long leaves as far as it is settled (0: never)",
        "SECONDS",
        "0.005",
        group="shop",
    ),
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
