"""How much bigger than its source a tree may get: told before the parse, and never too little."""

from __future__ import annotations

import pytest
import turbohtml
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.html import growth
from edgeproxy.html.model import Unplannable

MANY = b"<p>x" * 50_000


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<p>" + b"".join(b"<b x=%d>" % i for i in range(500)) + b"<p>x" * 5000, "multiply"),
        (b"<P>" + b"".join(b"<FONT\tx=%d>" % i for i in range(500)) + b"<P>x" * 5000, "multiply"),
        (b"<!-- <i x=' -->" + b"<p>" + b"".join(b"<i x='>' y=%d>" % i for i in range(60)) + MANY, "multiply"),
        (b"<p>" + b"<em title='>'>" * 70 + MANY, "multiply"),
        (b"<p><em title='>" + b"x" * 5000 + b"'>" + MANY, "multiply"),
        (b"<p><small" + b"".join(b" a%d" % i for i in range(600)) + b">" + MANY, "multiply"),
        (b"<p><a" + b"".join(b" a%d=''" % i for i in range(70)) + b">a" + MANY, "an <a> has more than 64 attributes"),
        (b"<p><a" + b"".join(b"/a%d" % i for i in range(70)) + b">a" + MANY, "an <a> has more than 64 attributes"),
    ],
)
def test_what_would_multiply_is_refused_before_it_is_parsed(body: bytes, why: str) -> None:
    with pytest.raises(Unplannable, match=why):
        growth.check(body)


@pytest.mark.parametrize(
    "body",
    [
        b"<p>p <b>b</b> <i class='icon'>i</i> <a href='/'>a</a></p>" * 5000,
        b"<p><b><b><i><i class=y title='a &gt; b'>left open<a>" * 4000,
        b"<p>one <em title='a > b'>odd</em>" + b"<p>x" * 20_000,
        b"<p><em title='a > b'><a" + b"".join(b" a%d" % i for i in range(20)) + b">a</a></em>" + b"<p>x" * 5000,
        b"<div>" * 400_000,
        b"<ul>" + b"<li>item" * 200_000,
        b"<p><a" + b"".join(b" a%d='>'" % i for i in range(60)) + b">a" + b"<p>x" * 5000,
    ],
)
def test_pages_that_stay_in_bounds_pass(body: bytes) -> None:
    growth.check(body)


@pytest.mark.parametrize(
    "piece",
    [b"<b ", b'<b x="', b"<a x=<", b"<a/", b"<a x='>'", b"<b =", b"<b x y z w", b"<a x=\"'", b"<a \n=\n", b"<i\f=='"],
)
def test_no_bytes_make_it_slow(piece: bytes) -> None:
    """The pattern cannot go back on its steps: a page of 2 MB takes milliseconds, or this test its timeout."""
    body = piece * ((2 << 20) // len(piece))
    with pytest.raises(Unplannable):
        growth.check(body)


TAGS = b"""<p> <p>x </p> <b> <b\tx=1> </b> <B\tX=1> <i\ty> <i\ty='>'\tz> </i> <a> </a> <a\thref=/\tx\ty> <td>
<table><td> </table> <!--<b>--> <!--<b\tx='--> <em \tq=" "> <div> </div> <svg><b> </svg> <script><b></script>
<select> <u/> <button> <object> </object> <li> <h1> <nobr> <title><b\t1></title> <b\t=> <s\tx=y/z> <font\ta\tb\tc>"""
tags = st.sampled_from(TAGS.replace(b"\n", b" ").split(b" "))
left_open = st.builds(
    b"<%b x=%d y='>'>".__mod__, st.tuples(st.sampled_from([b"b", b"i", b"em", b"a"]), st.integers(0, 9))
)


@given(
    st.lists(tags, max_size=30),
    st.lists(left_open, max_size=30),
    st.lists(tags, min_size=1, max_size=6),
    st.integers(1, 40),
)
def test_a_tree_is_never_bigger_than_was_said(
    first: list[bytes], second: list[bytes], then: list[bytes], times: int
) -> None:
    """The bound that a page just passes holds for the tree that is really built."""
    body = b"".join([*first, b"<p>", *second, *then * times])
    most = 64
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "ODD", 1000)
        while True:
            patch.setattr(growth, "MOST", most)
            try:
                growth.check(body)
            except Unplannable:
                most *= 2
                assert most < 1 << 40
            else:
                break
    tree = turbohtml.parse(body.decode("latin-1"), scripting=True)
    units = sum(growth.ELEMENT + len(element.attrs) for element in tree.iter_elements())
    assert units <= most + 2 * growth.ELEMENT * (body.count(b"<") + 4)  # beside what each tag makes once
