"""Changes of one start tag, against the same changes of a DOM; examples are in tests/cases/edits/attributes.toml."""

from __future__ import annotations

import turbohtml
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.html.model import Charset
from edgeproxy.html.render import render
from edgeproxy.html.starttag import TagChanges, malformed, rewrite

UTF8 = Charset("utf-8", "utf-8", 0, "header")
NAMES = st.sampled_from(["class", "title", "href", "hidden", "style", "data-x"])
VALUES = st.text(st.sampled_from("ab \n\"'<>=`&;/é#"), max_size=6)
SPACE = st.sampled_from([" ", "  ", "\n", "\t", "/", " / "])


@st.composite
def tags(draw: st.DrawFn) -> str:
    tag = "<g"
    for _ in range(draw(st.integers(0, 5))):
        name, form = draw(NAMES), draw(st.integers(0, 4))
        name = name.upper() if draw(st.booleans()) else name
        value = draw(VALUES)
        written = {
            0: name,
            1: f'{name}="{value.replace(chr(34), "&quot;")}"',
            2: f"{name}='{value.replace(chr(39), '&#39;')}'",
            3: f"{name}={''.join(c for c in value if c not in ' >') or 'x'}",
            4: f"{name} = '{value.replace(chr(39), '')}'",
        }[form]
        tag += draw(SPACE) + written
    return tag + draw(st.sampled_from([">", " >", " />"]))


def read(tag: str) -> tuple[dict[str, str], bool]:
    """The attributes of a tag, and whether it closes itself (told by what its follower is inside of)."""
    document = turbohtml.parse(f"<svg>{tag}<path></svg>", scripting=True)
    [element] = document.select("svg > g")
    values = {
        name: " ".join(value) if isinstance(value, list) else value or "" for name, value in element.attrs.items()
    }
    values |= {"class": element.attr("class") or ""} if "class" in values else {}
    return values, not element.children


@given(
    tag=tags(),
    attributes=st.dictionaries(NAMES, st.one_of(VALUES, st.booleans()), max_size=3),
    classes=st.dictionaries(st.sampled_from(["a", "b", "é", "a&b"]), st.booleans(), max_size=2),
    hide=st.booleans(),
)
def test_a_rewritten_tag_reads_like_the_changed_dom(
    tag: str, attributes: dict[str, str | bool], classes: dict[str, bool], hide: bool
) -> None:
    if malformed(tag.encode()):
        return
    changes = TagChanges()
    for name, value in attributes.items():
        changes.set_attribute("a", name, value)
    for name, add in classes.items():
        changes.set_class("a", name, add)
    if hide:
        changes.set_hidden("a", True)
    wanted, closes = read(tag)
    for name, value in attributes.items():
        if value is False:
            wanted.pop(name, None)
        else:
            wanted[name] = "" if value is True else value
    have = wanted.get("class", "").split()
    keep = [name for name in have if classes.get(name, True)]
    added = [name for name, add in classes.items() if add and name not in have]
    if keep != have or added:
        wanted["class"] = " ".join([*keep, *added])
    if hide:
        wanted["hidden"] = ""
    body = f"<p>{tag}</p>".encode()
    made = render(body, rewrite(body, 3, 3 + len(tag.encode()), changes, UTF8)).decode()
    got, still = read(made.removeprefix("<p>").removesuffix("</p>"))
    assert still == closes
    assert made.startswith("<p>")
    assert made.endswith("</p>")
    if hide:
        assert "display:none!important" in got.pop("style")
        wanted.pop("style", None)
    assert {name: value if name != "class" else value.split() for name, value in got.items()} == {
        name: value if name != "class" else value.split() for name, value in wanted.items()
    }


@given(tags())
def test_no_change_is_no_splice(tag: str) -> None:
    changes = TagChanges()
    changes.set_class("a", "surely-not-there", False)
    assert rewrite(tag.encode(), 0, len(tag.encode()), changes, UTF8) == []
