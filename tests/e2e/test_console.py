"""The console of ``edgeproxy serve`` with two workers: what both saw is one, and sheets are made by one of them."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serve
from tests.e2e.running import KEYS, edgeproxy, visitor_cookie
from tests.e2e.standin import page, standing_in

HOME = b'<!doctype html><html><body><main id="hero">The shop</main></body></html>'
RULES = {
    "shop.toml": 'format = 1\ntimezone = "UTC"\nstages = ["new", "loyal"]\nwithout_cookie = "untouched"\n',
    "slots.toml": '[hero]\nfind = "#hero"\n[aside]\nfind = "#aside"\n',
    "audiences.toml": '[newcomers]\nstage = "new"\n',
    "personas.toml": '[bo]\nsays = "Second visit"\nstage = "new"\n[eva]\nstage = "loyal"\n',
    "experiences/calm.toml": 'says = "a"\nfor = "newcomers"\nbecause = "b"\npurpose = "help"\nowner = "c@d.e"\n'
    '[[edit]]\nslot = "hero"\ninner = { text = "Calm" }\n[[edit]]\nslot = "aside"\nremove = true\n',
}
TOKEN = "a-token-for-the-console-7c1"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    for name, text in RULES.items():
        file = tmp_path / "rules" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return tmp_path / "rules"


def words(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return " ".join(unescape(re.sub("<[^>]+>", " ", answer.text)).split())


def test_two_workers_are_one_console(serve: Serve, rules: Path) -> None:
    with standing_in({"/": page(HOME)}) as shop, httpx.Client(trust_env=False, timeout=30) as admin:
        proxy = serve(shop.base, rules, "--workers", "2", env={"EDGEPROXY_ADMIN_TOKEN": TOKEN})
        cookie = {"cookie": f"edge_visitor={visitor_cookie('new')}", "connection": "close"}
        for _ in range(20):
            assert b"Calm" in httpx.get(proxy.base + "/", headers=cookie, trust_env=False).content
        assert admin.get(proxy.admin + "/").headers["location"] == "/login"
        logged_in = admin.post(proxy.admin + "/login", data={"token": TOKEN})
        assert logged_in.status_code == 303
        said = words(admin.get(proxy.admin + "/"))
        assert re.search(r"calm live .* 20 this hour", said)
        assert "2 slots" not in said
        assert "1 slot has not been found on any page" in said
        assert "2 workers" in said
        live = admin.get(proxy.admin + "/live")
        assert live.text.count('<li class="decision') == 20
        why = unescape(re.findall(r'href="(/explain[^"]+)"', live.text)[0])
        explained = words(admin.get(proxy.admin + why))
        assert re.search(r"calm .*applied", explained)
        assert "Requests by lane" in words(admin.get(proxy.admin + "/speed"))

        path = admin.post(proxy.admin + "/sheet", data={"pages": "/", "do": "show"}).headers["location"]
        sheet = httpx.get(proxy.admin + path, trust_env=False, timeout=60)  # without the cookie
        assert sheet.status_code == 200
        assert sheet.text.count("<iframe") == 3
        assert "Calm" in sheet.text
        made = edgeproxy("sheet", "--pages", "/", "--personas", "bo", "--rules", str(rules), "--link", proxy.admin)
        linked = httpx.get(made.stdout.strip(), trust_env=False, timeout=60)
        assert linked.text.count("<iframe") == 2

        file = rules.parent / "sheet.html"
        done = edgeproxy(
            "sheet", "--pages", "/", "--rules", str(rules), "--proxy", proxy.base, "--no-pictures", "--out", str(file)
        )
        assert "1 page for 2 personas" in done.stdout
        assert "Calm" in file.read_text("utf-8")

        (rules / "slots.toml").write_text("[hero]\nfind = \n", "utf-8")
        admin.post(proxy.admin + "/reload", headers={"authorization": f"Bearer {TOKEN}"})
        said = words(admin.get(proxy.admin + "/coverage"))
        assert "The rules on disk have mistakes; the last good ones are live" in said
        assert "rules/slots.toml:2" in said
    assert KEYS
