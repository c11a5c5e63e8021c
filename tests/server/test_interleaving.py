"""Laws 3 and 4 under everything at once: visitors, reloads, purges, changes of the shop, time; nobody gets another's.

``EDGEPROXY_STEPS=10000 pytest tests/server/test_interleaving.py`` goes on for longer.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping

import pytest

from edgeproxy.content_coding import decode
from edgeproxy.core.decide import decide
from edgeproxy.core.model import NOBODY, PageRequest, RuleBook, Source, Visitor
from edgeproxy.personalise import personalise
from tests.server.test_fastlane import HEADERS, LONG, Front, cookie, head, spoken, told
from tests.server.wire import answers, run
from tests.world import NOON, PAGE, RULES, Asked, Shop, Told, World, book_of

STEPS = int(os.environ.get("EDGEPROXY_STEPS", "1200"))
VISITORS: Mapping[str, Visitor] = {
    "": NOBODY,
    cookie("new", id="n1"): Visitor("new", (), "n1", Source.COOKIE),
    cookie("new", id="n2"): Visitor("new", (), "n2", Source.COOKIE),
    cookie("loyal", id="l1"): Visitor("loyal", (), "l1", Source.COOKIE),
    cookie("loyal", segments=["outdoor"], id="l2"): Visitor("loyal", ("outdoor",), "l2", Source.COOKIE),
}
PATHS = ("/", "/c/boots", "/c/coats")
ACCEPTS = ("", "Accept-Encoding: gzip", "Accept-Encoding: gzip, br, zstd")
OTHER_BOOKS: Mapping[str, Mapping[str, str]] = {
    "as it is": {},
    "half get thanks": {"experiences/thanks.toml": 'share = "50%"\n' + RULES["experiences/thanks.toml"]},
    "the path in it": {"fragments/thanks.html": "<p>You are at {{ path }}</p>"},
    "by segment": {
        "experiences/thanks.toml": RULES["experiences/thanks.toml"].replace(
            '"thanks.html"', '"for-{segment}.html"\nor_else = "thanks.html"'
        ),
        "fragments/for-outdoor.html": "<p>Outdoor, {{ segment }}</p>",
    },
    "off": {"shop.toml": "enabled = false\n" + RULES["shop.toml"]},
}


class Story:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.books = [book_of({**RULES, **changed}) for changed in OTHER_BOOKS.values()]
        self.front = Front(World(shop=Shop(self.shop)))
        self.version = 0  # of the shop's pages
        self.oldest = 0  # that may still be kept
        self.written: list[float] = [NOON]  # when each version began
        self.connections = [self.front.connect() for _ in range(4)]
        self.fast = 0
        self.number = 0

    def shop(self, asked: Asked) -> Told:
        body = PAGE.replace(b"</main>", LONG + b"<p>version %d of " % self.version + asked.target + b"</p></main>")
        tag = f'"{self.version}"'
        if asked.get("if-none-match") == [tag]:
            return Told(status=304, headers=(*HEADERS[1:2], ("ETag", tag)), chunks=[])
        return told(body, (*HEADERS[:2], ("ETag", tag)))

    def expected(self, book: RuleBook, visitor: Visitor, path: str, version: int) -> bytes:
        body = PAGE.replace(b"</main>", LONG + b"<p>version %d of " % version + path.encode() + b"</p></main>")
        request = PageRequest("GET", "http", "shop.example", path, "", (), self.front.world.now)
        return personalise(book, decide(book, visitor, request), request, body, HEADERS[0][1]).body

    async def ask(self) -> None:
        line, path, accept = (self.chance.choice(list(some)) for some in (VISITORS, PATHS, ACCEPTS))
        place = self.chance.randrange(len(self.connections))
        connection = self.connections[place]
        if connection.state != "open":
            connection = self.connections[place] = self.front.connect()
        before, apps = len(connection.out), self.front.apps
        await spoken(connection, head(*self.new([one for one in (line, accept) if one]), target=path))
        self.fast += self.front.apps == apps
        (answer,) = answers(bytes(connection.out[before:]))
        assert answer.status == 200
        body = decode(answer.headers, answer.body, limit=1 << 20)
        book = self.front.world.books.book
        assert book is not None
        may = {self.expected(book, VISITORS[line], path, version) for version in range(self.oldest, self.version + 1)}
        assert body in may, (line, path, body)

    def new(self, lines: list[str]) -> list[str]:
        """A head that never came before, of the same visitor: as browsers make them, in any order."""
        number = self.number = self.number + 1
        chance = self.chance
        jar = next((one for one in lines if one.startswith("Cookie")), "Cookie: ")
        pairs = [jar.removeprefix("Cookie: "), f"_ga=GA1.1.{number}", f"_fbp=fb.{number}"]
        chance.shuffle(pairs)
        lines = [one for one in lines if not one.startswith("Cookie")]
        if jar != "Cookie: " or chance.random() < 0.5:
            lines.append("Cookie: " + "; ".join(pair for pair in pairs if pair))
        lines += chance.sample(
            [
                f"Referer: http://shop.example/c/{number}",
                f"User-Agent: Mozilla/5.0 {number}{chance.choice([' Mobi', ''])}",
                f"Sec-CH-UA: {number}",
                f"Accept-Language: sv, en;q=0.{number}",
                f"X-Forwarded-For: 198.51.100.{number}",
                "Sec-Fetch-Dest: document",
                "Cache-Control: max-age=0",
                "Connection: keep-alive",
            ],
            chance.randrange(8),
        )
        chance.shuffle(lines)
        return lines

    async def happen(self) -> None:
        world = self.front.world
        match self.chance.randrange(7):
            case 0:
                world.books.book = self.chance.choice(self.books)
            case 1:
                assert world.parts.cache is not None
                world.parts.cache.store.drop([page.key for page in world.parts.cache.store])
                self.oldest = self.version
            case 2:
                self.version += 1
                self.written.append(world.now)
            case 3:
                world.now += self.chance.choice([1.0, 20.0, 61.0])
                while self.oldest < self.version and self.written[self.oldest + 1] + 60 <= world.now:
                    self.oldest += 1
            case 4:
                path = self.chance.choice(PATHS)
                await self.front.ask("Content-Length: 0", method="POST", target=path)
            case 5:
                self.front.lane.forget()
            case 6:
                self.front.guard.tick(world.now)


@pytest.mark.parametrize("seed", [1, 2])
def test_everybody_gets_their_own_page_whatever_happens_in_between(seed: int) -> None:
    async def story() -> None:
        told = Story(seed)
        for _ in range(STEPS):
            if told.chance.random() < 0.05:
                await told.happen()
            else:
                await told.ask()
        assert told.front.noted.faults == []
        assert b"edgeproxy_faults_total 0.0" in told.front.world.parts.journal.metrics()
        assert told.fast > STEPS / 5, "most of it went through the fast lane"

    run(story())
