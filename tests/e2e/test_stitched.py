"""Stitched gzip as others read it: curl, gzip, and Chromium, which shows only the first of several members."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser

from edgeproxy.html.model import Splice
from edgeproxy.html.render import render
from edgeproxy.stitch import Piece, Seams
from tests.conftest import missing

ROWS = b"".join(b"<li class=row>Row %d: caf\xc3\xa9 and more</li>\n" % number for number in range(4000))
PAGE = b"<!DOCTYPE html><meta charset=utf-8><title>t</title><h1>Old</h1><ul>\n" + ROWS + b"</ul><p id=end>the end</p>"
AT = PAGE.index(b"Old")
SPLICES = [
    Splice(AT, AT + 3, b"New"),
    Splice(PAGE.index(b"<li class=row>Row 2000:"), PAGE.index(b"<li class=row>Row 2010:"), b""),
    Splice(len(PAGE), len(PAGE), b"<p id=last>sewn on</p>"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server whose page has been cut at other places before."""
    seams, texts = Seams(), dict[bytes, Piece]()
    seams.member(PAGE, [Splice(5000, 5000, b"x")], texts)
    member = seams.member(PAGE, SPLICES, texts)
    assert member is not None
    body: bytes = member

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in {"Content-Type": "text/html", "Content-Encoding": "gzip"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' own name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_curl_and_gzip_read_the_whole_page(address: str) -> None:
    if not (shutil.which("curl") and shutil.which("gzip")):
        missing("no curl, or no gzip")
    got = subprocess.run(["curl", "-fsS", "--compressed", address], capture_output=True, check=True)
    assert got.stdout == render(PAGE, SPLICES)
    raw = subprocess.run(["curl", "-fsS", "--raw", address], capture_output=True, check=True)
    undone = subprocess.run(["gzip", "-d"], input=raw.stdout, capture_output=True, check=True)
    assert (undone.stdout, undone.stderr) == (render(PAGE, SPLICES), b"")


@pytest.mark.browser
def test_chromium_shows_the_whole_page(address: str, browser: Browser) -> None:
    page = browser.new_page()
    try:
        page.goto(address)
        assert page.locator("h1").inner_text() == "New"
        assert page.locator("li").count() == 3990
        assert page.locator("#last").inner_text() == "sewn on"
        assert page.locator("li").last.inner_text() == "Row 3999: café and more"
    finally:
        page.close()
