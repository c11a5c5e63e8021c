"""What is missing among the settings, and what each is a good value and together cannot be.

Pure, but for a look whether files are there.  Called by ``Settings.gather`` alone, with what was found, by field
name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from edgeproxy.core.model import Problem, Where
from edgeproxy.paths import no_file, no_folder
from edgeproxy.settings.limits import Limits
from edgeproxy.values import Address

__all__ = ["impossible", "missing"]


def missing(found: Mapping[str, Any], wrong: set[str]) -> list[Problem]:
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


def impossible(found: Mapping[str, Any], limits: Mapping[str, Any]) -> list[Problem]:
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
    if rules is not None and (why := no_folder(rules)):
        no("--rules", f"{rules} {why}", "name the rules folder, or make one: edgeproxy init --origin URL")
    drafts: Path | None = found.get("drafts")
    if drafts is not None and (why := no_folder(drafts)):
        no("--drafts", f"{drafts} {why}", "name one that holds rules folders, or a git repository with rules")
    if authority is not None and (why := no_file(authority)):
        no("--origin-ca", f"{authority} {why}", "name a file with PEM certificates")
    for one, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if found.get(one) and not found.get(other):
            no("--" + other.replace("_", "-"), "a certificate and its key go together, and one is missing", "name both")
    if found.get("country_header") and not found.get("trust"):
        what = "a country header is believed from trusted proxies only, and none is named"
        no("--country-header", what, "name the proxy in front: --trust 10.0.0.0/8")
    if found.get("proxy_protocol") == "on" and not found.get("trust"):
        what = "the PROXY protocol is read from trusted proxies only, and none is named"
        no("--proxy-protocol", what, "name the proxy in front: --trust 10.0.0.0/8")
    name: str = found.get("cookie_name", "")
    if name.startswith("__Host-") and found.get("cookie_domain"):
        no(
            "--cookie-domain",
            f"a cookie named {name} may have no Domain",
            "leave one of the two out (RFC 6265bis, 4.1.3)",
        )
    if name in ("edge_state", "__Host-edge_state", "edge_preview"):
        no("--cookie-name", f"{name} is a cookie of our own", "take another name")
    for each in fields(Limits):
        if limits.get(each.name, 1) == 0 and "(0: " not in each.metadata["says"]:
            no("--limit-" + each.name.replace("_", "-"), "0 would let nothing through", "leave it out for the default")
    return problems  # fmt: skip
