"""The judge of splices: what HTML5 engines make of edited bytes, against the same edit on their own DOM.

``faults`` is the whole of it: every promise that an ``Element`` makes, tried in selectolax (Lexbor) and in turbohtml.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import turbohtml
from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser, LexborNode

from edgeproxy.core.model import Expect, Slot, Where
from edgeproxy.html.model import Charset, Element
from edgeproxy.html.plan import plan

UTF8 = Charset("utf-8", "utf-8", 0, "header")
MARK = "<!--edge-mark-->"


def slot(name: str, find: str, expect: Expect = Expect.ONE) -> Slot:
    return Slot(name, find, None, expect, True, False, "", Where("rules/slots.toml"))


def everything(body: bytes, *, children: bool = True) -> tuple[Element, ...]:
    """Every element of a page as a plan describes it; ``children``: whether theirs are wanted, too."""
    wanted = {"all": ()} if children else {}
    place = plan(body, UTF8, [slot("all", "*", Expect.ANY)], children=wanted).slots["all"]
    assert place.trouble == ""
    return place.elements


def view(body: bytes) -> str:
    """A body as text in which offsets are byte offsets; both engines read its CR LF themselves."""
    return body.decode("latin-1")


def turbo(text: str) -> str:
    return turbohtml.parse(text, positions=False, scripting=True).html


def lexbor_page(text: str) -> LexborHTMLParser:
    return LexborHTMLParser(text, scripting=True, options=LexborDocumentOptions.WO_EVENTS)


def lexbor(text: str) -> str:
    return lexbor_page(text).html or ""


def agree(text: str) -> bool:
    """Whether the two engines see the same tree: where not, only one of them can be right."""
    return _plain(turbo(text)) == _plain(lexbor(text))


def _plain(html: str) -> str:
    return html.replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", "\xa0")


def closing(tags: tuple[str, ...]) -> str:
    return "".join(f"</{tag}>" for tag in reversed(tags))


def faults(text: str, element: Element, engines: tuple[str, ...] = ("turbohtml", "lexbor")) -> Iterator[str]:
    """What does not hold of the promises that ``element`` makes, in words."""
    if element.implied or element.trouble:
        return
    before, inside = closing(element.unclosed_before), closing(element.unclosed_inside)
    start, end = element.start, element.end
    markup = element.inner_start is not None and not element.raw_text
    behind = "" if element.closed else ("" if markup else inside) + f"</{element.tag}>"
    spots: list[tuple[int, str]] = []
    if not element.outer_trouble:
        spots += [(start, before + MARK), (end, behind + MARK)]
    if element.inner_start is not None and element.inner_end is not None and markup:
        spots += [(element.inner_start, MARK), (element.inner_end, inside + MARK)]
    # at one place the order is: behind what was before, before what follows
    order = sorted(range(len(spots)), key=lambda i: (spots[i][0], _rank(i, bool(element.outer_trouble))))
    marked, at = "", 0
    for i in order:
        where, what = spots[i]
        marked += text[at:where] + what
        at = where
    marked += text[at:]
    for engine in engines:
        check = _in_lexbor if engine == "lexbor" else _in_turbohtml
        yield from (f"{engine}: {fault}" for fault in check(text, marked, element, before))


def _rank(i: int, inner_only: bool) -> int:
    names = ("inner_start", "inner_end") if inner_only else ("start", "end", "inner_start", "inner_end")
    return {"start": 0, "inner_start": 1, "inner_end": 2, "end": 3}[names[i]]


def _in_lexbor(text: str, marked: str, element: Element, before: str) -> Iterator[str]:
    page, tree = lexbor(text), lexbor_page(marked)
    comments = [node for node in _walk(tree.root) if node.tag == "-comment" and node.html == MARK]
    outer, markup = not element.outer_trouble, element.inner_start is not None and not element.raw_text
    expected = 2 * outer + 2 * markup
    if len(comments) != expected:
        yield f"{len(comments)} of {expected} comments"
        return
    if not comments:
        return
    node: LexborNode | None
    if outer:
        node = comments[0].next
        if node is None or node.tag != element.tag:
            yield "the comment at start is not before the element"
            return
        follows = node.next
        if follows is None or follows.mem_id != comments[-1].mem_id:
            yield "the comment at end is not behind the element"
    else:
        node = comments[0].parent
    assert node is not None
    if markup:
        first, last = (comments[1], comments[2]) if outer else (comments[0], comments[1])
        if node.first_child is None or node.first_child.mem_id != first.mem_id:
            yield "the comment at inner_start is not the first child"
        ends_there = node.last_child is not None and node.last_child.mem_id == last.mem_id
        if not ends_there and not (element.tag == "body" and _blank_behind(last)):
            yield "the comment at inner_end is not the last child"
    for comment in comments:
        comment.decompose()
    if tree.html != page:
        yield f"the comments change the tree: {tree.html!r} is not {page!r}"
    if element.inner_start is not None and element.inner_end is not None:
        emptied = lexbor(text[: element.inner_start] + text[element.inner_end :])
        saved = node.inner_html or ""
        for child in list(node.iter(include_text=True)):
            child.decompose()
        if not _same(tree.html or "", emptied, element):
            yield f"emptying: {emptied!r} is not {tree.html!r}"
        if not outer:
            return
        node.inner_html = saved
    if outer:
        node.decompose()
        cut = lexbor(text[: element.start] + before + text[element.end :])
        if tree.html != cut:
            yield f"cutting: {cut!r} is not {tree.html!r}"


def _blank_behind(node: LexborNode) -> bool:
    follows = node.next
    return follows is not None and follows.next is None and bool(follows.is_empty_text_node)


def _walk(node: LexborNode | None) -> Iterator[LexborNode]:
    while node is not None:
        yield node
        yield from _walk(node.first_child)
        node = node.next


def _same(one: str, other: str, element: Element) -> bool:
    """Blank text that stands behind </body> lands in body, whatever body's inside was."""
    if element.tag == "body":
        return re.sub(r"\s+</body>", "</body>", one) == re.sub(r"\s+</body>", "</body>", other)
    return one == other


def _in_turbohtml(text: str, marked: str, element: Element, before: str) -> Iterator[str]:
    outer, markup = not element.outer_trouble, element.inner_start is not None and not element.raw_text

    def node_of(tree: turbohtml.Document, located: turbohtml.Document) -> turbohtml.Element:
        for candidate, twin in zip(tree.select("*"), located.select("*"), strict=True):
            place = twin.source_location
            if place is not None and place.start_tag.start_offset == element.start and twin.tag == element.tag:
                return candidate
        raise AssertionError("no such element")

    located = turbohtml.parse(text.replace("\r", " "), source_locations=True, scripting=True)

    def edited(edit: Callable[[turbohtml.Element], None]) -> str:
        tree = turbohtml.parse(text, positions=False, scripting=True)
        edit(node_of(tree, located))
        return tree.html

    def mark(node: turbohtml.Element) -> None:
        if outer:
            node.insert_before(turbohtml.Comment("edge-mark"))
            node.insert_after(turbohtml.Comment("edge-mark"))
        if markup:
            node.insert(0, turbohtml.Comment("edge-mark"))
            node.append(turbohtml.Comment("edge-mark"))

    meant, made = edited(mark), turbo(marked)
    if element.tag == "body":
        meant, made = (_without_blank_tail(html) for html in (meant, made))
    if meant != made:
        yield f"the comments change the tree: {made!r} is not {meant!r}"
    if element.inner_start is not None and element.inner_end is not None:
        emptied = turbo(text[: element.inner_start] + text[element.inner_end :])
        if not _same(edited(_empty), emptied, element):
            yield f"emptying: {emptied!r} is not {edited(_empty)!r}"
    if outer:
        cut = turbo(text[: element.start] + before + text[element.end :])
        if edited(lambda node: node.decompose()) != cut:
            yield f"cutting: {cut!r} is not {edited(lambda node: node.decompose())!r}"


def _without_blank_tail(html: str) -> str:
    body, found, rest = html.rpartition("</body>")
    if not found:
        return html
    inner, mark, tail = body.rpartition(MARK)
    return inner.rstrip() + mark + tail.strip() + rest


def _empty(node: turbohtml.Element) -> None:
    for child in list(node.children):
        child.extract()


def child_faults(text: str, element: Element) -> Iterator[str]:
    """Whether each child can be cut out by its bytes, in turbohtml."""
    if element.trouble or element.children_trouble or not element.children:
        return
    located = turbohtml.parse(text.replace("\r", " "), source_locations=True, scripting=True)
    starts = {child.start for child in element.children}
    nodes = [
        i
        for i, node in enumerate(located.select("*"))
        if node.source_location is not None and node.source_location.start_tag.start_offset in starts
    ]
    if len(nodes) != len(element.children):
        yield f"{len(element.children)} children, {len(nodes)} nodes"
        return
    for i, child in enumerate(element.children):
        if i == 0 and element.implied:
            continue  # HTML begins the parent with it
        tree = turbohtml.parse(text, positions=False, scripting=True)
        tree.select("*")[nodes[i]].decompose()
        kept = closing(element.children[i - 1].unclosed) if i else ""
        made = turbo(text[: child.start] + kept + text[child.end :])
        if made != tree.html:
            yield f"cutting child {i}: {made!r} is not {tree.html!r}"


def documents(dat: str) -> Iterator[str]:
    """The inputs of a file of html5lib's tree-construction tests, those of fragments left out."""
    for case in re.split(r"(?:^|\n)#data\n", dat)[1:]:
        data, found, rest = case.partition("\n#errors\n")
        if not found:
            data, _, rest = case.partition("#errors\n")
        if "#document-fragment" not in rest:
            yield data
