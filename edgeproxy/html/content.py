"""Which content an edit has for one visitor: the fragment that was chosen, with its values.

Here: ``resolve``, pure.  Not here: reading fragments (``fragments``), placing them (``place``, the only caller).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeproxy.core.model import Choice, Fragment, Shop, Visitor
from edgeproxy.html import fragments


@dataclass(frozen=True, slots=True)
class Resolved:
    """Content ready to be placed; ``trouble`` says why there is none."""

    markup: str = ""
    outline: str = ""
    trouble: str = ""
    path: str = ""  # of the fragment's file; "" for content that is said in the rule


def resolve(content: Fragment | Choice | None, visitor: Visitor, shop: Shop, values: Mapping[str, str]) -> Resolved:
    """An edit's content for a visitor; ``values`` are those of the placeholders.

    Of a path with ``{segment}`` the visitor's first segment, in shop.toml's order, that has a file is taken, then
    ``or_else``; ``{{ segment }}`` inside such a fragment is the segment that it was chosen for.
    """
    if content is None:
        return Resolved()
    fragment: Fragment | None = content if isinstance(content, Fragment) else None
    if isinstance(content, Choice):
        fragment, segment = _choose(content, visitor, shop)
        if fragment is None:
            return Resolved(trouble=_nothing_fits(content, visitor))
        if segment:
            values = {**values, "segment": segment}
    assert fragment is not None
    absent = fragments.missing(fragment.parts, values)
    if absent:
        return Resolved(trouble=f"{fragment.path} shows {{{{ {absent} }}}}, and this visitor has none")
    path = fragment.path if fragment.path.endswith(".html") else ""
    return Resolved(fragments.fill(fragment.parts, values), fragments.outline(fragment.parts), path=path)


def _choose(choice: Choice, visitor: Visitor, shop: Shop) -> tuple[Fragment | None, str]:
    """The fragment, and the segment that it was chosen by ("" : none)."""
    for segment in shop.segments:
        if segment in visitor.segments:
            fragment = choice.by_segment.get(segment)
            if fragment is None and visitor.stage is not None:
                fragment = choice.by_both.get((segment, visitor.stage))
            if fragment is not None:
                return fragment, segment
    if visitor.stage is not None and visitor.stage in choice.by_stage:
        return choice.by_stage[visitor.stage], ""
    return choice.or_else, ""


def _nothing_fits(choice: Choice, visitor: Visitor) -> str:
    segments = ", ".join(f'"{segment}"' for segment in visitor.segments) or "none"
    stage = f'"{visitor.stage}"' if visitor.stage else "none"
    return (
        f'"{choice.template}" has no file for this visitor (segments {segments}, stage {stage}), '
        "and there is no or_else"
    )
