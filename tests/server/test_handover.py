"""What a worker is given is what the supervisor has: settings of every kind, and a folder's own bytes."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from edgeproxy.core.visitor import Keys
from edgeproxy.rulebook import judge, read
from edgeproxy.server import handover
from edgeproxy.settings import Limits, Settings
from edgeproxy.values import Address

KEYS = Keys.parse("tests-sign-with-this-older-key,tests-sign-with-this-newer-key")
PLAIN = Settings("http://shop.invalid", Path("rules"), KEYS)
FULL = replace(
    PLAIN,
    listen=Address("::1", 1),
    hosts=("shop.example", "*.shop.example"),
    trust=(ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")),
    methods=frozenset({"GET", "PROPFIND"}),
    further_origins=("http://second.invalid",),
    origin_ca=Path("/etc/ca.pem"),
    tls_cert=Path("c.pem"),
    tls_key=Path("k.pem"),
    keys_file=Path("keys"),
    country_header="cf-ipcountry",
    cookie_max_age=0.5,
    admin_token="t" * 16,
    workers=3,
    limits=Limits(header_bytes=7, drain_seconds=0.25),
)


@pytest.mark.parametrize("settings", [PLAIN, FULL])
def test_settings_arrive_as_they_left(settings: Settings) -> None:
    arrived = handover.settings_in(json.loads(json.dumps(handover.settings_out(settings))))
    assert arrived == settings
    for each in fields(Settings):
        assert type(getattr(arrived, each.name)) is type(getattr(settings, each.name))


def test_a_kind_that_nobody_knows_is_refused_on_both_sides() -> None:
    with pytest.raises(TypeError):
        handover.settings_out(replace(PLAIN, hosts={"a"}))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Pickle"):
        handover.settings_in({"origin": {"Pickle": "x"}})


def test_a_folder_arrives_byte_for_byte_and_comes_to_the_same(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_bytes(b'format = 1\nstages = ["new"]\nsegments = []\nwithout_cookie = "new"\n')
    (tmp_path / "slots.toml").write_bytes(b"\xff\xfe not text")
    (tmp_path / "nowhere.html").symlink_to(tmp_path / "missing")
    contents = read(tmp_path)
    arrived = handover.rules_in(json.loads(json.dumps(handover.rules_out(contents))))
    assert arrived == contents
    assert judge(arrived, now=0.0) == judge(contents, now=0.0)


def test_a_folder_that_is_gone_arrives_as_its_problem(tmp_path: Path) -> None:
    contents = read(tmp_path / "gone")
    arrived = handover.rules_in(json.loads(json.dumps(handover.rules_out(contents))))
    assert arrived == contents
    assert [str(problem) for problem in judge(arrived).problems] == [str(contents.failed)]
