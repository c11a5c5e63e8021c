"""edgeproxy: server-side personalisation for any shop, as a reverse proxy.

The map of the code, in the order in which a request meets it::

    server/      the wire: limits and deadlines of a connection, sockets, signals; fastlane: what leaves without the app
    proxy.py     EdgeProxy: the path of one request, top to bottom
    passing.py   what only passes: the same path, past the app, for answers that are certain to be the shop's own
    intend.py    who asks, what fits, what is meant to happen;  delivery.py: what becomes of the shop's answer
    core/        PURE decisions: visitor, preview, audiences, decide, explain, rule files
    html/        PURE bytes: locate, plan, place, render, verify
    sharing.py   what many may get, before a visitor's own question;  pages/: the page cache that keeps it
    remember.py  what the visitor's browser is given to remember: edge_state, and the shop's Edge-Event
    reuse.py     a stored page as a visitor gets it; assembly.py, plans.py, variants.py, stitch.py: what was made of it
    slow_pages.py  pages in which finding the slots takes too long
    origin.py    the shop behind us
    rulebook.py  rules/ on disk → RuleBook; watched; a good book replaces the old one whole
    journal.py   one served request = one record → access log, counters
    previewing.py, drafts.py   what a preview adds to an answer; rules that are not live, for previews by their name
    app.py       the only place that wires things together
    settings/    flags and environment → Settings: limits, the table of options
    commands/    what the verbs of the command line do;  cli.py: the verbs themselves
    console/     what people look at beside the shop: admin listener, explanation, preview bar
    why/         the visitor's own page: what is remembered, why a page looked so, what they want instead
    sheet/       the contact sheet: pages as every persona sees them, side by side
    doctor/      PURE judgements of a set-up before it goes live
    demo/        a small shop of our own, served in-process by `edgeproxy demo`

``core`` and ``html`` import nothing from the rest; the rest may import them.
"""

__version__ = "0.1.0"
