"""Pages saved for tests and render come back as they were, and never leave their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy import recordings
from edgeproxy.recordings import Recording

PATHS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="?#"), max_size=40).map(
    lambda text: "/" + text
)


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("/", "index.html"),
        ("/c/boots", "c/boots.html"),
        ("/c/boots/", "c/boots/index.html"),
        ("/c/boots?page=2", "c/boots@page=2.html"),
        ("/../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd.html"),
        ("//evil.example/x", "evil.example/x.html"),
        ("/.git/config", "%2Egit/config.html"),
    ],
)
def test_a_page_has_a_file_that_its_path_tells(page: str, name: str) -> None:
    assert recordings.file_name(page) == name


@given(PATHS)
def test_no_path_leaves_the_folder(page: str) -> None:
    name = recordings.file_name(page)
    assert not name.startswith("/")
    assert all(part not in {"", ".", ".."} for part in name.split("/"))
    assert "\0" not in name


def test_what_was_recorded_is_read_again(tmp_path: Path) -> None:
    for recording in (
        Recording("/", b"<p>caf\xe9\r\n", "text/html; charset=windows-1252", "script-src 'self'"),
        Recording("/c/b%C3%B6ts?q=%22a%22", b"<p>2", None),
    ):
        recordings.write(tmp_path, recording)
        assert recordings.read(tmp_path)[recording.page] == recording


def test_recording_again_replaces(tmp_path: Path) -> None:
    recordings.write(tmp_path, Recording("/", b"old", "text/html"))
    recordings.write(tmp_path, Recording("/", b"new", None))
    assert recordings.read(tmp_path) == {"/": Recording("/", b"new", None)}


def test_a_file_put_there_by_hand_counts(tmp_path: Path) -> None:
    file = tmp_path / recordings.PAGES / "c" / "tents.html"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"<h1>Tents")
    assert recordings.read(tmp_path) == {"/c/tents": Recording("/c/tents", b"<h1>Tents", None)}


def test_a_broken_index_is_told_with_its_place(tmp_path: Path) -> None:
    recordings.write(tmp_path, Recording("/", b"x", None))
    index = tmp_path / recordings.PAGES / recordings.INDEX
    index.write_text("[oops", encoding="utf-8")
    with pytest.raises(ValueError, match=r"pages\.toml"):
        recordings.read(tmp_path)


def test_a_folder_without_recordings_has_none(tmp_path: Path) -> None:
    assert recordings.read(tmp_path) == {}
