"""The recipes for shops' back ends: what they sign we believe, what we sign they believe, and what we refuse they do.

Each recipe runs as it is in ``edgeproxy/recipes/``, in its own interpreter, once for all cases: a driver of a few
lines reads the cases as JSON and answers with a list.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from edgeproxy.core.durations import DAY
from edgeproxy.core.model import Source
from edgeproxy.core.signing import Keys
from edgeproxy.core.visitor import Disbelief, disbelief, read_value, sign
from tests.conftest import missing

RECIPES = Path(__file__).parents[1] / "edgeproxy" / "recipes"
OLD, NEW, OTHER = (
    "9f2b7c41d08e6a35f1c49b7e02d86a53",
    "c07d51e9a84b3f62705eb1d9284fa36c",
    "51d8ea307c96fb24e0a7b3c95d162f48",
)
BOTH = f"{OLD}, {NEW}"  # a blank after the comma, as people write lists

PYTHON = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("recipe", RECIPE)
recipe = importlib.util.module_from_spec(spec)
spec.loader.exec_module(recipe)
do = {"sign": lambda c: recipe.sign(c["keys"], c["stage"], c["segments"], c["id"]),
      "read": lambda c: recipe.read(c["keys"], c["value"])}
print(json.dumps([do[c["do"]](c) for c in json.load(sys.stdin)]))
"""
NODE = """
const recipe = require(RECIPE);
const cases = JSON.parse(require("node:fs").readFileSync(0));
const said = cases.map((c) => c.do === "sign" ? recipe.sign(c.keys, c) : recipe.read(c.keys, c.value));
console.log(JSON.stringify(said));
"""
PHP = """
require RECIPE;
$cases = json_decode(stream_get_contents(STDIN), true);
echo json_encode(array_map(fn($c) => $c["do"] === "sign"
    ? edge_visitor_sign($c["keys"], $c["stage"], $c["segments"], $c["id"])
    : edge_visitor_read($c["keys"], $c["value"]), $cases));
"""
RUBY = """
require RECIPE
said = JSON.parse($stdin.read).map do |c|
  next EdgeVisitor.read(c["keys"], c["value"]) if c["do"] == "read"
  EdgeVisitor.sign(c["keys"], stage: c["stage"], segments: c["segments"], id: c["id"])
end
puts said.to_json
"""
DRIVERS = {
    "edge_visitor.py": ([sys.executable, "-I", "-c"], PYTHON),
    "edge_visitor_itsdangerous.py": ([sys.executable, "-I", "-c"], PYTHON),
    "edge_visitor.js": (["node", "-e"], NODE),
    "edge_visitor.php": (["php", "-d", "error_reporting=-1", "-d", "display_errors=stderr", "-r"], PHP),
    "edge_visitor.rb": (["ruby", "-w", "-e"], RUBY),
}


def test_every_recipe_is_tested() -> None:
    assert {path.name for path in RECIPES.iterdir() if path.is_file()} == set(DRIVERS)


def ours(keys: str, **said: Any) -> str:
    at = said.pop("at", time.time())
    return sign(Keys.parse(keys), at, **said)


WHO: tuple[dict[str, Any], ...] = (
    {"stage": "loyal", "segments": ["outdoor", "home"], "id": "q7Hk2m"},
    {"stage": "new", "segments": [], "id": None},
    {"stage": None, "segments": ["friluft-året"], "id": "a.b~c:d/e=f"},
    {"stage": "återkommande", "segments": [f"segment-{n}" for n in range(30)], "id": "x" * 64},
)


@cache
def refused() -> dict[str, str]:
    """Values that prove nothing, by what is wrong with them."""
    good = ours(NEW, stage="loyal")
    body, _, signature = good.rpartition(".")
    payload, _, stamp = body.partition(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = alphabet[alphabet.index(signature[-1]) + 1]  # 43 characters hold 258 bits, a signature has 256
    return {
        "another key": ours(OTHER, stage="loyal"),
        "too old": ours(NEW, stage="loyal", at=time.time() - 401 * DAY),
        "from the future": ours(NEW, stage="loyal", at=time.time() + 3600),
        "another payload": ours(NEW, stage="new").partition(".")[0] + "." + stamp + "." + signature,
        "another time": f"{payload}.{ours(NEW, at=time.time() - 5).split('.')[1]}.{signature}",
        "signature spelled otherwise": good[:-1] + twin,
        "padded": good + "=",
        "with a tail": good + "!!!",
        "a line end": good + "\n",
        "two parts": body,
        "four parts": good + ".a",
        "an empty part": f"{payload}..{signature}",
        "nothing": "",
        "too long": "A" * 2000 + "." + stamp + "." + signature,
        "another salt": sign(Keys.parse(NEW), time.time(), stage="loyal", salt=b"edgeproxy.preview"),
        "another version": _version_two(),
    }


def _version_two() -> str:
    import base64

    payload = base64.urlsafe_b64encode(json.dumps({"v": 2, "stage": "loyal"}).encode()).rstrip(b"=")
    return Keys.parse(NEW).signing(b"edgeproxy.visitor").sign_at(payload, time.time()).decode()


@cache
def cases() -> list[dict[str, Any]]:
    signed = [{"do": "sign", "keys": keys, **who} for keys in (NEW, BOTH) for who in WHO]
    read = [{"do": "read", "keys": BOTH, "value": ours(keys, **who)} for keys in (OLD, NEW) for who in WHO]
    return [*signed, *read, *({"do": "read", "keys": BOTH, "value": value} for value in refused().values())]


@cache
def answers(recipe: str) -> list[Any]:
    """What the recipe says to every case, in one run of its interpreter."""
    (interpreter, *flags), driver = DRIVERS[recipe]
    code = driver.replace("RECIPE", json.dumps(str(RECIPES / recipe)))
    done = subprocess.run(
        [interpreter, *flags, code], input=json.dumps(cases()), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    said: list[Any] = json.loads(done.stdout)
    return said


@pytest.fixture(params=DRIVERS)
def answered(request: pytest.FixtureRequest) -> list[Any]:
    recipe: str = request.param
    interpreter = DRIVERS[recipe][0][0]
    if shutil.which(interpreter) is None:
        missing(f"{interpreter} is not on this machine")
    return answers(recipe)


def test_what_a_recipe_signs_we_believe_by_the_newest_key(answered: list[Any]) -> None:
    for value, case in zip(answered, cases(), strict=True):
        if case["do"] == "sign":
            visitor = read_value(value.encode(), Keys.parse(NEW), time.time())
            assert (visitor.source, visitor.problems) == (Source.COOKIE, ())
            assert (visitor.stage, visitor.segments, visitor.id) == (case["stage"], tuple(case["segments"]), case["id"])


def test_what_a_recipe_signs_is_believed_no_longer_than_it_may(answered: list[Any]) -> None:
    late = read_value(answered[0].encode(), Keys.parse(NEW), time.time() + 401 * DAY)
    foreign = read_value(answered[0].encode(), Keys.parse(OLD), time.time())
    assert (disbelief(late), disbelief(foreign)) == (Disbelief.EXPIRED, Disbelief.FORGED)


def test_what_we_sign_a_recipe_believes_with_the_old_key_and_the_new(answered: list[Any]) -> None:
    count = 2 * len(WHO)
    for read, who in zip(answered[count : 2 * count], WHO * 2, strict=True):
        assert read == {"v": 1, **{name: value for name, value in who.items() if value is not None}}


def test_what_we_would_not_believe_no_recipe_does(answered: list[Any]) -> None:
    said = dict(zip(refused(), answered[4 * len(WHO) :], strict=True))
    assert said == dict.fromkeys(refused())
    for what, value in refused().items():
        assert read_value(value.encode(), Keys.parse(BOTH), time.time()).source is Source.DISBELIEVED, what
