"""The large pictures by name: what ``/media/scene/NAME.svg`` serves."""

from __future__ import annotations

from collections.abc import Callable

from . import land, rooms

SCENES: dict[str, Callable[[], str]] = {
    "lake-at-dawn": land.lake_at_dawn,
    "winter-fell": land.winter_fell,
    "birch-trail": land.birch_trail,
    "coast": land.coast,
    "living-room": rooms.living_room,
    "workshop": rooms.workshop,
    "kitchen": rooms.kitchen,
}
