"""Which parts of a page a framework will hydrate: compare with what it expects, and take over.

Here: ``detect`` and ``Parts``, pure.  Not here: which edits survive that (``verb``).  Called by ``plan``.

Inside a hydrated root, text and elements that the framework does not expect are lost after a flash (React) or break
the page for good (Vue); attributes, classes, what stands beside the root, the end of head and the end of body stay.
A page is known by the state that its server left in it for the browser, and by marks on the roots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import turbohtml

from edgeproxy.html.locate import Source

UNNAMED: Final = "a framework"

_STATE_IDS: Final = {  # ids of scripts that hold state: (framework, id of the root's container)
    "__NEXT_DATA__": ("Next", "__next"),
    "__NUXT_DATA__": ("Nuxt", "__nuxt"),
    "ng-state": ("Angular", ""),
    "vike_pageContext": ("Vike", "react-root"),
    "vite-plugin-ssr_pageContext": ("Vike", "react-root"),
}
_WHOLE: Final = {  # beginnings of scripts on pages whose whole document is hydrated
    "self.__next_f": "Next",
    "(self.__next_f": "Next",
    "window.__remixContext": "Remix",
    "window.__reactRouterContext": "React Router",
    "self.$R=": "SolidStart",
    "window._$HY": "SolidStart",
}
_ROOTED: Final = {  # beginnings of scripts on pages with one container: (framework, its id)
    "window.__NUXT__": ("Nuxt", "__nuxt"),
    "window.___webpackCompilationHash": ("Gatsby", "___gatsby"),
    "window.___chunkMapping": ("Gatsby", "___gatsby"),
    "/*<![CDATA[*/window.pagePath": ("Gatsby", "___gatsby"),
}
_STATE: Final = ("window.__", "window['__", 'window["__', "window.eContext", "var __", "self.__", "globalThis.__")
_CONTAINERS: Final = ("root", "app", "__app", "react-root", "app-root", "main-app", "q-app", "svelte", "__layout")
_MARKS: Final = {  # attributes of what is hydrated itself
    "data-server-rendered": "Vue",
    "data-v-app": "Vue",
    "ng-version": "Angular",
    "ng-server-context": "Angular",
    "data-sveltekit-hydrate": "SvelteKit",
}
_INSIDE_MARKS: Final = {"data-reactroot": "React", "data-hk": "Solid"}  # attributes of a container's only child
_ALL_MARKS: Final = (*_MARKS, *_INSIDE_MARKS)
_ISLANDS: Final = {"astro-island": "Astro"}
_NAMES: Final = (*_CONTAINERS, *{name for _, name in (*_STATE_IDS.values(), *_ROOTED.values()) if name})
_SIGNS: Final = ", ".join(
    (
        *(f'[id="{name}"]' for name in _NAMES),
        *(f"[{mark}]" for mark in _ALL_MARKS),
        *_ISLANDS,
        "script[type=module]",
        "link[rel=modulepreload]",
        *(f'{tag}*="/{folder}/"]' for folder in ("_next", "_nuxt", "_app") for tag in ("script[src", "link[href")),
    )
)
_BEGINNINGS: Final = (*_WHOLE, *_ROOTED)
_HEAD: Final = 120  # characters of a script that tell what it is
_REACT_SEPARATOR: Final = "<!-- -->"  # between two texts
_FEW: Final = 200


@dataclass(frozen=True, slots=True)
class Hydration:
    """``framework`` is None where the page shows no sign; ``whole``: the document itself is the root."""

    framework: str | None = None
    whole: bool = False
    containers: frozenset[turbohtml.Element] = frozenset()


def detect(source: Source) -> Hydration:
    """What the page's inline scripts say about it."""
    document, json_state, state = source.document, False, False
    for script in document.select("script:not([src])"):
        named = _STATE_IDS.get(script.attr("id") or "")
        if named is not None:
            return _contained(document, *named)
        text = script.text[:_HEAD].lstrip()
        if text.startswith(_BEGINNINGS):
            return _begun(document, text)
        if "__sveltekit" in text and isinstance(script.parent, turbohtml.Element):
            return Hydration("SvelteKit", script.parent.tag == "body", frozenset((script.parent,)))
        if script.attr("type") == "application/json":
            json_state |= isinstance(script.parent, turbohtml.Element) and script.parent.tag in ("body", "html")
        elif text.startswith(_STATE):
            state = True
    suspense = _suspense(source.text)
    if json_state or state or suspense:
        return _unnamed(source, react=suspense or (json_state and _REACT_SEPARATOR in source.text))
    return Hydration()


def announced(source: Source) -> bool:
    """Whether a page of which only the beginning is here may turn out to be one that a framework hydrates.

    State stands at a page's end.  What stands before it: containers, marks, and scripts that are modules or are
    loaded ahead, as nearly all frameworks have them; template shops have them seldom.
    """
    return source.document.select_one(_SIGNS) is not None or _suspense(source.text) or _REACT_SEPARATOR in source.text


class Parts:
    """Says of elements of one page what hydration has to do with them; what it finds of ancestors is kept."""

    def __init__(self, hydration: Hydration) -> None:
        self.hydration = hydration
        self._marks: dict[turbohtml.Element, str | None] = {}
        self._inside: dict[turbohtml.Element, str | None] = {}

    def part(self, element: turbohtml.Element, ancestors: Sequence[turbohtml.Element]) -> tuple[bool, bool, str | None]:
        """Whether an element is inside a hydrated root, whether it holds one, and whose it is."""
        framework = self.hydration.framework
        if self.hydration.whole and element.tag not in ("html", "head"):
            return "head" not in (ancestor.tag for ancestor in ancestors), False, framework
        around = self._around(ancestors)
        if around is not None:
            return True, False, around
        if element in self.hydration.containers or element.tag in _ISLANDS:
            return False, True, framework or _ISLANDS.get(element.tag)
        mark = self._mark(element)
        if mark is not None:
            return True, mark in _MARKS, (_MARKS | _INSIDE_MARKS)[mark]
        first = next((child for child in element.children if isinstance(child, turbohtml.Element)), None)
        mark = self._mark(first) if first is not None else None
        return False, mark in _INSIDE_MARKS, _INSIDE_MARKS.get(mark or "")

    def _around(self, ancestors: Sequence[turbohtml.Element]) -> str | None:
        """Whose root the ancestors are in; None: nobody's.  Elements share theirs, so the answer is kept."""
        if not ancestors:
            return None
        parent = ancestors[-1]
        if parent not in self._inside:
            mark, name = self._mark(parent), self.hydration.framework
            if parent in self.hydration.containers or parent.tag in _ISLANDS:
                self._inside[parent] = name or _ISLANDS.get(parent.tag)
            elif mark is not None:
                self._inside[parent] = (_MARKS | _INSIDE_MARKS)[mark]
            else:
                self._inside[parent] = self._around(ancestors[:-1])
        return self._inside[parent]

    def _mark(self, element: turbohtml.Element) -> str | None:
        try:
            return self._marks[element]
        except KeyError:
            names = element.attrs
            found = next((mark for mark in _ALL_MARKS if mark in names), None) if names else None
            self._marks[element] = found
            return found


def _begun(document: turbohtml.Document, text: str) -> Hydration:
    for beginning, framework in _WHOLE.items():
        if text.startswith(beginning):
            return Hydration(framework, whole=True)
    return next(_contained(document, *named) for beginning, named in _ROOTED.items() if text.startswith(beginning))


def _unnamed(source: Source, *, react: bool) -> Hydration:
    """State for somebody: a container beside it, or, where React has left its marks, the whole document."""
    found = [
        element
        for element in source.document.select("body > div, body > main")
        if element.attr("id") in _CONTAINERS and element.children
    ]
    if found:
        return Hydration("React" if react else UNNAMED, containers=frozenset(found))
    return Hydration("React", whole=True) if react else Hydration()


def _suspense(text: str) -> bool:
    """Whether React left the mark of a boundary: a comment that begins with a dollar sign, of which few are around."""
    at = text.find("$")
    for _ in range(_FEW):
        if at < 0:
            return False
        if text.startswith("<!--", at - 4):
            return True
        at = text.find("$", at + 1)
    return text.find("<!--$", at) >= 0


def _contained(document: turbohtml.Document, framework: str, container: str) -> Hydration:
    found = document.select(f"#{container}") if container else []
    return Hydration(framework, whole=bool(container) and not found, containers=frozenset(found))
