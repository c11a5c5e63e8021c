"""One pass over a request's head, before anything is forwarded: → ``Forwardable`` | ``Refusal``.

Here: which methods and hosts are served, which header lines reach the shop, what is written anew.  Not here: the
connection (``server``), our own flags in the query (``core.preview``), the body.  Called once per request by the
proxy, before anything else; what it refuses is never forwarded, and nothing that it cuts can come back.

What happens to a header line is looked up in one table (``_TABLE``); a name that is not in it passes when it is made
of letters, digits and hyphens, since shops behind CGI and WSGI read other characters as hyphens (``X_Forwarded_For``,
``X.Forwarded.For``).

Who is believed: ``trust`` names the proxies in front.  From anybody else every header by which a proxy speaks of the
visitor is dropped, and so are the ones that overwrite the path (``X-Original-URL``), which a shop's framework may
obey: the rules and the caches judge the path that stands in the request.

The path is never normalised or re-encoded: ``/%2e%2e/``, ``//`` and bytes that are not UTF-8 reach the shop as they
came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from random import getrandbits
from typing import Any, Final, NamedTuple

from edgeproxy.core.cookies import without
from edgeproxy.core.model import RawHeaders
from edgeproxy.hosts import Hosts
from edgeproxy.peers import Peers, forwarded_line
from edgeproxy.settings import METHODS, Settings
from edgeproxy.values import Network

__all__ = ["ID_VALUE", "OWN_COOKIES", "Forwardable", "Refusal", "Sanitiser", "new_request_id"]

OWN_COOKIES: Final = (b"edge_preview", b"edge_state", b"__Host-edge_state")
"""Cookies of ours that never reach the shop; ``edge_visitor`` does, since the shop may have set it."""

ID_VALUE: Final = re.compile(rb"[A-Za-z0-9._:=/+@-]{1,200}").fullmatch
"""What is believed as a request id."""

LOOPS: Final = 4  # times that a request may pass through us


class Forwardable(NamedTuple):
    """A request that may go to the shop."""

    method: str
    target: bytes  # path and query exactly as they came
    headers: RawHeaders  # for the shop: Host first, names lower-case, Content-Length where the request has one
    host: str  # the visitor's Host, lower-case, with its port if it names one
    scheme: str  # of the visitor's own connection: "http" or "https"
    client: str  # the visitor's address, "" when there is none
    request_id: str
    length: int | None = None  # of the body, as announced; None: none announced
    chunked: bool = False  # the body comes without a length
    trusted: bool = False  # the peer is a proxy in front of us
    forwarded: bool = False  # somebody in front has put headers of its own on it
    country: str | None = None  # as a trusted proxy tells it, upper-case
    upgrade: bytes = b""  # the protocol that it asks to go on in, lower-case, where that could be relayed


class Refusal(NamedTuple):
    """A request that goes nowhere: the status of our answer, and the reason for the log."""

    status: int
    why: str
    request_id: str


# What becomes of a header line (plain numbers: looking up an enum's member costs as much as the whole line).
_PASS: Final = 0
_DROP: Final = 1  # of this connection, or ours
_HOST: Final = 2
_COOKIE: Final = 3
_CONNECTION: Final = 4
_LENGTH: Final = 5
_CODING: Final = 6
_VIA: Final = 7
_REQUEST_ID: Final = 8
_NAMED: Final = 9  # this and what follows is believed from trusted proxies only
_FOR: Final = 10
_PROTO: Final = 11
_FORWARDED_HOST: Final = 12
_FORWARDED: Final = 13
_COUNTRY: Final = 14
_UPGRADE: Final = -1
_LOOP: Final = -2


def _table(rows: Mapping[int, str]) -> dict[bytes, int]:
    return {name.encode(): do for do, names in rows.items() for name in names.split()}


_TABLE: Final = _table(
    {
        # What browsers send with every page: listed so that they need no further look.
        _PASS: """accept accept-encoding accept-language authorization cache-control content-type dnt from
            if-match if-modified-since if-none-match if-range if-unmodified-since origin pragma priority purpose range
            referer save-data sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode
            sec-fetch-site sec-fetch-user sec-gpc sec-purpose upgrade-insecure-requests user-agent x-requested-with""",
        # RFC 9110, 7.6.1 and 11.7: they belong to one connection.  Expect: the server has answered it.
        # Proxy: CGI programs take it for the setting HTTP_PROXY ("httpoxy").
        _DROP: """expect http2-settings keep-alive proxy proxy-authenticate proxy-authorization proxy-connection
            te trailer""",
        _UPGRADE: "upgrade",
        _HOST: "host",
        _COOKIE: "cookie",
        _CONNECTION: "connection",
        _LENGTH: "content-length",
        _CODING: "transfer-encoding",
        _NAMED: """cf-connecting-ip cf-connecting-ipv6 fastly-client-ip front-end-https true-client-ip
            x-client-ip x-cluster-client-ip x-host x-original-host x-original-url x-originating-ip x-real-ip
            x-remote-addr x-remote-ip x-rewrite-url x-url-scheme""",
        _FOR: "x-forwarded-for",
        _PROTO: "x-forwarded-proto",
        _FORWARDED_HOST: "x-forwarded-host",
        _FORWARDED: "forwarded",
        _VIA: "via",
        _LOOP: "cdn-loop",
        _REQUEST_ID: "x-request-id",
    }
)

_PLAIN: Final = re.compile(rb"(?!edge-|x-forwarded-)[a-z0-9-]+").fullmatch
_TARGET: Final = re.compile(rb"/[^\x00-\x20\x7f#]*").fullmatch

# Nominating one of these in Connection would take it away from the shop (RFC 9110, 7.6.1 names the risk).
_KEPT: Final = frozenset(
    {b"host", b"cookie", b"authorization", b"content-length", b"content-type", b"transfer-encoding"}
)
_USUAL_CONNECTIONS: Final = frozenset({b"keep-alive", b"close", b"Keep-Alive", b"Close", b"upgrade", b"Upgrade"})
_PROTOCOL: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?").fullmatch
# HTTP/2 in the clear would carry requests that nobody here has judged; TLS belongs to a connection, not to a shop.
_NOT_RELAYED: Final = re.compile(rb"(?:h[23]c?|http|tls)(?:[-/].*)?", re.IGNORECASE | re.DOTALL).fullmatch
_CONNECTION_UPGRADE: Final = (b"connection", b"Upgrade")
_NO_HOST: Final = (b"host", b"")
_PROTO_LINES: Final = {scheme: (b"x-forwarded-proto", scheme.encode()) for scheme in ("http", "https")}


def new_request_id() -> str:
    """16 hex digits; unique enough to find a line in a log, and no secret."""
    return f"{getrandbits(64):016x}"


class Sanitiser:
    """The policy of one listener, made once from ``Settings``; holds no request."""

    def __init__(
        self,
        *,
        hosts: Sequence[str] = (),
        trust: Sequence[Network] = (),
        methods: Iterable[str] = METHODS,
        origin: str = "http://shop.invalid",
        origin_host: str | None = None,
        country_header: str | None = None,
        via: str = "edgeproxy",
        upgrade: bool = True,
    ) -> None:
        self.methods = frozenset(methods) - {"CONNECT", "TRACE"}
        self._peers = Peers(trust)
        self._hosts = Hosts(hosts)
        self._table = dict(_TABLE)
        if country_header:
            self._table[country_header.encode()] = _COUNTRY
        self._sent_host = (b"host", origin_host.encode()) if origin_host else None
        named = next((name for name in hosts if not name.startswith("*.")), origin.partition("://")[2])
        self._default_host = named.encode()
        self._upgrade = upgrade
        # Not Via: shops that see one take the visitor for a proxy, and nginx then compresses nothing (gzip_proxied).
        self._name = via.encode()
        self._loop_line = (b"cdn-loop", self._name)

    @classmethod
    def of(cls, settings: Settings) -> Sanitiser:
        """The policy that the settings ask for."""
        return cls(
            hosts=settings.hosts,
            trust=settings.trust,
            methods=settings.methods,
            origin=settings.origin,
            origin_host=settings.origin_host,
            country_header=settings.country_header,
            via=settings.via,
            upgrade=settings.upgrade == "relay",
        )

    def trusts(self, address: str) -> bool:
        """True when a proxy at this address is believed."""
        return self._peers.trusts(address)

    def named(self, address: str) -> str:
        """A peer's address as it is told to the shop and logged: an IPv4 one mapped into IPv6 as itself."""
        return self._peers.at(address).address

    def passes(self, name: bytes, *, trusted: bool) -> bool | None:
        """Whether lines of this name (lower-case) reach the shop, whatever they say; None: they are judged one by one.

        Of what reaches it, or does not, nothing else follows in ``head``, bar that somebody in front has spoken.
        """
        do = self._table.get(name)
        if do is None:
            return True if _PLAIN(name) else trusted if name.startswith(b"x-forwarded-") else None
        if do in (_PASS, _VIA):
            return True
        if do == _NAMED:
            return trusted
        return False if not trusted and (do > _NAMED or do == _REQUEST_ID) else None

    def visitor(self, value: bytes) -> str:
        """The visitor's address that a trusted proxy tells in its one X-Forwarded-For; "": it tells none."""
        return self._peers.visitor(value.split(b","))

    def scope(self, scope: Mapping[str, Any]) -> Forwardable | Refusal:
        """The same for an ASGI scope; the exact target comes from the server's extension, else it is put together."""
        extension = scope.get("extensions", {}).get("edgeproxy.target")
        if extension is not None:
            target = extension["target"]
        else:
            target = scope.get("raw_path") or scope["path"].encode("latin-1", "replace")
            if scope["query_string"]:
                target = target + b"?" + scope["query_string"]
        client = scope.get("client")
        return self.head(
            scope["method"],
            target,
            scope["http_version"],
            scope["headers"],
            client[0] if client else "",
            scope["scheme"],
            "edgeproxy.upgrade" in scope.get("extensions", ()),
        )

    def head(
        self,
        method: str,
        target: bytes,
        version: str,
        headers: Iterable[tuple[bytes, bytes]],
        peer: str,
        scheme: str,
        upgradable: bool = False,
    ) -> Forwardable | Refusal:
        """Judge a head and make what the shop is sent of it.

        ``version`` is "1.0" or "1.1"; ``headers`` have lower-case names; ``peer`` is the other end's address;
        ``upgradable``: its connection can be handed over after a 101.
        """
        get = self._table.get
        who = self._peers.at(peer)
        trusted = who.trusted
        kept: list[tuple[bytes, bytes]] = [_NO_HOST]
        keep = kept.append
        host: bytes | None = None
        length: int | None = None
        request_id = ""
        why = ""
        country: str | None = None
        chunked = forwarded = False
        nominated: frozenset[bytes] = frozenset()
        chain: list[bytes] | None = None
        loop: list[bytes] | None = None
        upgrades: list[bytes] | None = None
        upgrade = b""
        told: dict[bytes, bytes] | None = None  # what a trusted proxy says of the visitor

        for line in headers:
            do = get(line[0])
            if do == _PASS:
                keep(line)
            elif do is None:
                name = line[0]
                if _PLAIN(name):
                    keep(line)
                elif name.startswith(b"x-forwarded-"):
                    forwarded = True
                    if trusted:
                        keep(line)
            elif do == _HOST:
                if host is not None:
                    why = "more than one Host"
                host = line[1]
            elif do == _COOKIE:
                value = line[1]
                if b"edge_s" in value or b"edge_p" in value:
                    rest = without(value, OWN_COOKIES)
                    if rest:
                        keep(line if rest is value else (b"cookie", rest))
                else:
                    keep(line)
            elif do == _CONNECTION:
                if line[1] not in _USUAL_CONNECTIONS:
                    nominated |= {part.strip().lower() for part in line[1].split(b",")}
            elif do == _LENGTH:
                if length is not None or not line[1].isdigit() or len(line[1]) > 18:
                    why = "no single Content-Length"
                else:
                    length = int(line[1])
            elif do == _CODING:
                if chunked or line[1].lower() != b"chunked" or version == "1.0":
                    why = "a Transfer-Encoding other than chunked"
                chunked = True
            elif do == _UPGRADE:
                upgrades = [*(upgrades or ()), line[1]]
            elif do == _VIA:
                forwarded = True
                keep(line)
            elif do == _LOOP:
                forwarded = True
                loop = [*(loop or ()), line[1]]
            elif do == _REQUEST_ID:
                if trusted and ID_VALUE(line[1]):
                    request_id = line[1].decode()
            elif do >= _NAMED:
                if do != _COUNTRY:
                    forwarded = True
                if not trusted:
                    continue
                if do == _FOR:
                    chain = [*(chain or ()), *line[1].split(b",")]
                elif do == _NAMED:
                    keep(line)
                elif do == _COUNTRY:
                    value = line[1]
                    if len(value) == 2 and value.isalpha() and value.isascii():
                        country = value.decode().upper()
                        keep(line)
                else:
                    told = told or {}
                    told[line[0]] = told[line[0]] + b"," + line[1] if do == _FORWARDED and line[0] in told else line[1]

        request_id = request_id or new_request_id()
        if length is not None and chunked:
            why = "Content-Length beside Transfer-Encoding"
        if why:
            return Refusal(400, why, request_id)
        if method not in self.methods:
            return Refusal(405, "a method that is not served", request_id)
        if not _TARGET(target):
            return Refusal(400, "a target that is no path", request_id)
        if host is None:
            if version != "1.0":
                return Refusal(400, "no Host", request_id)
            host = self._default_host
        asked, trouble = self._hosts.judge(host)
        if trouble:
            return Refusal(trouble, asked, request_id)

        if nominated - _KEPT:
            nominated -= _KEPT
            kept = [line for line in kept if line[0] not in nominated]
        if length is not None:
            kept.append((b"content-length", b"%d" % length))
        elif upgrades is not None and upgradable and method == "GET" and not chunked and version == "1.1":
            upgrade = _relayable(upgrades, headers)
            if upgrade and self._upgrade:
                kept += (_CONNECTION_UPGRADE, (b"upgrade", upgrades[0]))
        client = who.address
        for_line = who.line
        host_line = (b"x-forwarded-host", host)
        if trusted and (told or chain):
            hops, scheme, public = self._peers.told(self._hosts, who.address, scheme, host, chain, told or {})
            client = hops[0]
            for_line = (b"x-forwarded-for", ", ".join(hops).encode())
            host_line = (b"x-forwarded-host", public)
            if told and b"forwarded" in told:
                kept.append((b"forwarded", forwarded_line(hops, scheme, public)))
        kept += (for_line, _PROTO_LINES[scheme], host_line, (b"x-request-id", request_id.encode()))
        if loop is not None:  # RFC 8586: each proxy adds itself, and refuses what has gone round
            names = [part.partition(b";")[0].strip() for part in b",".join(loop).split(b",")]
            if self._name and names.count(self._name) >= LOOPS:
                return Refusal(508, "it has passed through here before", request_id)
            kept.append((b"cdn-loop", b", ".join([*loop, self._name] if self._name else loop)))
        elif self._name:
            kept.append(self._loop_line)
        kept[0] = self._sent_host or (b"host", host)
        return Forwardable(
            method,
            target,
            tuple(kept),
            asked,
            scheme,
            client,
            request_id,
            length,
            chunked,
            trusted,
            forwarded,
            country,
            upgrade,
        )


def _relayable(upgrades: Sequence[bytes], headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The one protocol that is asked for, lower-case; b"" for what is not relayed: it goes on without its Upgrade.

    RFC 9110, 7.8: an Upgrade may be ignored, and counts only where Connection nominates it.
    """
    if len(upgrades) != 1 or not _PROTOCOL(upgrades[0]) or _NOT_RELAYED(upgrades[0]):
        return b""
    options = b",".join(value for name, value in headers if name == b"connection").lower().split(b",")
    return upgrades[0].lower() if b"upgrade" in {option.strip() for option in options} else b""
