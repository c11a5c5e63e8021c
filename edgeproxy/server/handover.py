"""What a worker is given when it starts, in plain types: settings, keys among them, and the rules' own bytes.

Here: there and back again, without loss.  Not here: how it travels (``control``).  Called by ``supervisor`` and
``worker``.  The rules travel as the bytes that were read once: every worker judges the same folder, also one that
starts when the folder on disk has a mistake or is gone.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from edgeproxy.core.model import Problem, Where
from edgeproxy.core.visitor import Keys
from edgeproxy.rulebook import Contents
from edgeproxy.settings import Limits, Settings
from edgeproxy.values import Address

__all__ = ["rules_in", "rules_out", "settings_in", "settings_out"]


def settings_out(settings: Settings) -> dict[str, Any]:
    """Every field, JSON's own types or ``{"Kind": value}``; raises TypeError for a type that is not known here."""
    return {each.name: _out(getattr(settings, each.name)) for each in fields(settings)}


def settings_in(data: Mapping[str, Any]) -> Settings:
    """What ``settings_out`` made; raises TypeError, ValueError or KeyError for anything else."""
    return Settings(**{name: _in(value) for name, value in data.items()})


def _out(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Path):
        return {"Path": str(value)}
    if isinstance(value, Address):
        return {"Address": [value.host, value.port]}
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return {"Network": str(value)}
    if isinstance(value, Keys):
        return {"Keys": [secret.decode() for secret in value.secrets]}
    if isinstance(value, Limits):
        return {"Limits": {each.name: getattr(value, each.name) for each in fields(value)}}
    if isinstance(value, tuple):
        return {"tuple": [_out(each) for each in value]}
    if isinstance(value, frozenset):
        return {"frozenset": sorted(_out(each) for each in value)}
    raise TypeError(f"{type(value).__name__} cannot be handed over")


def _in(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    match kind:
        case "Path":
            return Path(inner)
        case "Address":
            return Address(*inner)
        case "Network":
            return ipaddress.ip_network(inner)
        case "Keys":
            return keys_in(inner)
        case "Limits":
            return Limits(**inner)
        case "tuple":
            return tuple(_in(each) for each in inner)
        case "frozenset":
            return frozenset(_in(each) for each in inner)
    raise ValueError(f"{kind} is not known")


def keys_in(texts: list[str]) -> Keys:
    """Keys that were judged when they were read."""
    return Keys(tuple(text.encode() for text in texts))


def rules_out(contents: Contents) -> dict[str, Any]:
    """A folder's bytes as text."""
    failed = contents.failed
    return {
        "name": contents.name,
        "files": {name: base64.b64encode(data).decode() for name, data in contents.files.items()},
        "unread": dict(contents.unread),
        "failed": None if failed is None else [failed.what, failed.hint],
    }


def rules_in(data: Mapping[str, Any]) -> Contents:
    """What ``rules_out`` made."""
    name, failed = data["name"], data["failed"]
    return Contents(
        name,
        {file: base64.b64decode(text) for file, text in data["files"].items()},
        data["unread"],
        None if failed is None else Problem(Where(name), failed[0], hint=failed[1]),
    )
