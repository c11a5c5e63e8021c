"""Durations in words, both ways."""

from __future__ import annotations

import pytest

from edgeproxy.core import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7d", 604800),
        ("12h", 43200),
        ("30 minutes", 1800),
        ("1 week", 604800),
        ("90s", 90),
        ("5min", 300),
        ("1 Hour", 3600),
        ("24 hrs", 86400),
        (" 2 days ", 172800),
    ],
)
def test_words_to_seconds(text: str, seconds: float) -> None:
    assert durations.parse(text) == seconds


@pytest.mark.parametrize("text", ["2 years", "1 year", "3 months", "1y"])
def test_months_and_years_are_told_to_be_days(text: str) -> None:
    with pytest.raises(durations.NotADuration, match='write days or weeks, like "365 days"'):
        durations.parse(text)


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "1.5h", "7 dayss", "forever", "7d 3h", "٣d", "9999999d"])
def test_other_texts_are_told_how_to_write_one(text: str) -> None:
    with pytest.raises(durations.NotADuration, match='write it like "7d"'):
        durations.parse(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (1.9, "1 second"),
        (119, "1 minute"),
        (7200, "2 hours"),
        (86400 * 401, "401 days"),
        (8.64e9, "100,000 days"),
    ],
)
def test_seconds_to_words(seconds: float, words: str) -> None:
    assert durations.words(seconds) == words
