"""Any life of a visitor, against a model of it: pages, events, clock steps, reloads, new keys, consent withdrawn.

The model keeps a list of what happened, and counts; the proxy keeps a cookie.  After every step they must agree, and
whatever happens: nothing is written without consent, caps hold for requests that follow one another, the cookie never
grows past its limit, and the shop never sees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgeproxy.core.memory import MOST_CATEGORIES
from edgeproxy.core.signing import Keys
from edgeproxy.core.state import Kept, verify
from tests.world import KEYS, PAGE, RULES, Got, Told, World

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
SECRETS = [
    b"4d1f0c7be2a84b5d9c3e6f7081a2b3c4",
    b"f81d4fae7dec11d0a76500a0c91e6bf6",
    b"9b2c4d6e8f0a1b3c5d7e9f0a2b4c6d81",
]
CAP, CAP_TIME = 3, 7 * DAY
VISIT_ENDS = (30 * MINUTE, 46 * MINUTE)  # of silence: never before the first, always after the second
SAME_ORDER = 30 * MINUTE

Headers = Sequence[tuple[str, str]]

STAGES = ["new", "again", "customer", "lapsed"]
LIFE = {
    **RULES,
    "shop.toml": """
        format = 1
        timezone = "UTC"
        stages = ["stranger", "new", "again", "customer", "lapsed"]
        without_cookie = "stranger"
        order = ["nudge", "new", "again", "customer", "lapsed", "views"]
        never = ["/checkout/**"]
        consent = { cookie = "banner", yes = "yes" }
    """,
    "slots.toml": '[hero]\nfind = ".hero"\n[menu]\nfind = "#menu"\n',
    "lifecycle.toml": """
        [events]
        order = "/checkout/thanks"
        [[stage]]
        name = "new"
        [[stage]]
        name = "again"
        visits = { at_least = 2 }
        [[stage]]
        name = "customer"
        orders = { at_least = 1 }
        [[stage]]
        name = "lapsed"
        last_order = { before = "90 days" }
    """,
    "audiences.toml": "".join(f'[{stage}]\nstage = "{stage}"\n' for stage in STAGES)
    + "[lookers]\npage_views = { at_least = 4 }\n",
    "experiences/nudge.toml": """
        for = "everyone"
        cap = "3 a week"
        [[edit]]
        slot = "menu"
        before = { text = "NUDGE" }
    """,
    "experiences/views.toml": 'for = "lookers"\n[[edit]]\nslot = "menu"\nafter = { text = "LOOKER" }\n',
    **{
        f"experiences/{stage}.toml": f'for = "{stage}"\n[[edit]]\nslot = "hero"\nappend = {{ text = "IS-{stage}" }}\n'
        for stage in STAGES
    },
}
del LIFE["experiences/calm.toml"], LIFE["experiences/thanks.toml"]

codes = st.sampled_from(["phones", "cases", "lamps", "boots", "tents", "hats", "socks", "mugs", "pens", "maps"])


class Life(RuleBasedStateMachine):
    """One visitor.  ``self.orders`` and the like are what the model knows; None: not remembered."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.world = World(rules=LIFE)
        self.keys = [SECRETS[0]]
        self.cookie: str | None = None
        self.signed = 0.0
        self.old = self.unsure = False
        self.banner = "yes"
        self.forget()
        self.nudges: list[float] = []

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()

    def forget(self) -> None:
        self.remembered = False
        self.visits = self.views = 0
        self.last = 0.0
        self.orders: list[float] = []
        self.bought: list[str] = []
        self.nudges_remembered: list[float] = []

    # ------------------------------------------------------------------ what happens

    def ask(self, path: str, told: Sequence[str] = (), headers: Headers = (), *, status: int = 200) -> Got:
        kind = ("Content-Type", "text/html")
        self.world.shop.answer = Told(status, (kind, *(("Edge-Event", one) for one in told)), (PAGE,))
        self.before = self.cookie
        cookies = [f"banner={self.banner}", *([f"edge_state={self.cookie}"] if self.cookie else [])]
        lines = [("cookie", "; ".join(cookies)), *headers]
        if self.cookie is not None and self.world.now - self.signed > 400 * DAY:
            self.forget()  # it is too old to prove anything
            self.old = True
        got = self.loop.run_until_complete(self.world.ask(path, headers=lines))
        assert got.status == status
        for line in got.get("set-cookie"):
            value = line.removeprefix("edge_state=").partition(";")[0]
            assert line.startswith("edge_state=")
            assert got.one("cache-control").startswith(("private", "no-store"))
            self.cookie, self.signed, self.old = value or None, self.world.now, False
        assert "edge-event" not in dict(got.headers)
        assert not any(b"edge_" in value for asked in self.world.shop.asked for _, value in asked.headers)
        self.world.shop.asked.clear()
        if b"NUDGE" in got.body:
            assert self.banner == "yes"
            now = self.world.now
            assert len([one for one in self.nudges_remembered if now - one < CAP_TIME]) < CAP
            self.nudges_remembered.append(now)
        return got

    def arrives(self) -> None:
        """The model's own count of visits, by the moments of what was asked for."""
        now = self.world.now
        silence = now - self.last
        if not self.remembered:
            self.visits, self.views, self.remembered = 1, 0, True
        elif silence > VISIT_ENDS[1]:
            self.visits += 1
        elif silence > VISIT_ENDS[0]:
            self.unsure = True
        self.last = now

    def stage(self) -> str:
        if not self.orders:
            return "again" if self.visits >= 2 else "new"
        return "lapsed" if self.world.now // 60 * 60 - self.orders[-1] // 60 * 60 > 90 * DAY else "customer"

    @rule(path=st.sampled_from(["/", "/c/shoes", "/about"]))
    def looks(self, path: str) -> None:
        silent = self.world.now - self.last
        got = self.ask(path)
        was = self.remembered
        if self.banner != "yes":
            assert self.cookie is None
            assert got.body == PAGE
            self.forget()
            return
        self.arrives()
        if was and not VISIT_ENDS[0] < silent <= VISIT_ENDS[1]:
            self.agrees(got)
        self.views = min(self.views + 1, 4)
        self.counted()

    def agrees(self, got: Got) -> None:
        assert f"IS-{self.stage()}".encode() in got.body
        assert (b"LOOKER" in got.body) is (self.views >= 4)

    @rule(categories=st.lists(codes, max_size=12), again=st.integers(0, 2))
    def orders_something(self, categories: list[str], again: int) -> None:
        """By a header; told again by as many pages as are loaded at once."""
        event = "order; categories=" + ",".join(categories) if categories else "order"
        for _ in range(1 + again):
            self.ask("/done", [event])
        if self.banner != "yes":
            assert self.cookie is None
            self.forget()
            return
        self.arrives()
        self.views = min(self.views + 1 + again, 4)
        self.ordered(categories)

    @rule()
    def orders_by_a_page(self) -> None:
        self.ask("/checkout/thanks")
        if self.banner != "yes":
            return  # nobody edits that page: what is there goes with the next one
        self.arrives()
        self.ordered([])

    def ordered(self, categories: list[str]) -> None:
        now = self.world.now
        if not self.orders or now // 60 - self.orders[-1] // 60 >= SAME_ORDER // 60:
            self.orders.append(now)
        else:
            self.orders[-1] = now
        wanted = list(dict.fromkeys(categories))
        self.bought = (wanted + [one for one in self.bought if one not in wanted])[:MOST_CATEGORIES]
        self.counted()

    def counted(self) -> None:
        """What the cookie holds is what the model knows."""
        memory = self.memory
        assert memory is not None
        if not self.unsure_of_visits(memory.visits):
            assert memory.visits == self.visits
        assert memory.page_views == self.views
        assert memory.orders == len(self.orders)
        assert {code for code, _ in memory.bought} == set(self.bought) or len(memory.bought) == MOST_CATEGORIES

    def unsure_of_visits(self, visits: int) -> bool:
        """Between 30 and 45 minutes of silence a visit may end: from there on the proxy's count is the model's."""
        if self.unsure:
            assert visits in {self.visits, self.visits + 1}
            self.visits, self.unsure = visits, False
            return True
        return False

    @rule(
        header=st.sampled_from([("sec-purpose", "prefetch"), ("sec-fetch-dest", "empty"), ("purpose", "prefetch")]),
        path=st.sampled_from(["/about", "/checkout/thanks"]),
    )
    def is_not_looking(self, header: tuple[str, str], path: str) -> None:
        got = self.ask(path, ["order; categories=phones"], [header])
        assert got.get("set-cookie") == []
        assert self.cookie == self.before

    @precondition(lambda self: self.cookie is None)
    @rule()
    def a_browser_that_says_no(self) -> None:
        got = self.ask("/about", ["order"], [("sec-gpc", "1")])
        assert got.get("set-cookie") == []

    @rule(status=st.sampled_from([301, 404, 500]))
    def meets_a_fault(self, status: int) -> None:
        got = self.ask("/", status=status)
        assert got.get("set-cookie") == []

    @rule(event=st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=40))
    def the_shop_says_nonsense(self, event: str) -> None:
        before = self.memory
        self.ask("/api", [event.strip() or "?"], [("sec-fetch-dest", "empty")])
        assert self.memory == before

    # ------------------------------------------------------------------ what changes around them

    @rule(
        seconds=st.one_of(
            st.floats(0, 10 * MINUTE), st.floats(0, 3 * HOUR), st.floats(0, 40 * DAY), st.floats(80 * DAY, 120 * DAY)
        )
    )
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @precondition(lambda self: len(self.keys) < len(SECRETS))
    @rule()
    def a_key_is_added(self) -> None:
        self.keys.append(SECRETS[len(self.keys)])
        self.world.parts.proxy.use_keys(Keys(tuple(self.keys)))
        if self.cookie is not None and self.banner == "yes":
            self.looks("/")
            assert self.cookie != self.before  # signed anew, and nothing is lost

    @rule(banner=st.sampled_from(["yes", "no", ""]))
    def consent_changes(self, banner: str) -> None:
        self.banner = banner

    @rule(cut=st.integers(1, 50))
    def the_cookie_is_corrupted(self, cut: int) -> None:
        if self.cookie is not None:
            self.cookie = self.cookie[:-cut]
            got = self.ask("/")
            assert got.body == PAGE
            self.forget()
            if self.banner == "yes":
                self.arrives()
                self.views = 1
                self.counted()

    # ------------------------------------------------------------------ always

    @property
    def memory(self) -> Any:
        if self.cookie is None or self.old:
            return None
        kept = verify(self.cookie.encode(), Keys(tuple(self.keys)))
        assert isinstance(kept, Kept)
        return kept.memory

    @invariant()
    def it_stays_small(self) -> None:
        if getattr(self, "cookie", None) is not None:
            assert len(self.cookie or "") <= 1200


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
assert KEYS.secrets == (SECRETS[0],)
