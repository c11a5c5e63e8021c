"""The verbs of the command line: arguments in, exit code out.  No logic: each verb calls ``commands``.

Exit codes everywhere: 0 fine, 1 something is wrong with what was looked at, 2 wrong usage,
3 only warnings where ``--strict`` asked for none.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from edgeproxy import __version__

EPILOG: Final = """\
the main job:
  edgeproxy demo                                     a shop, the proxy before it, links to click
  edgeproxy init --origin https://shop.example       a small rules folder made from your shop's own pages
  edgeproxy check && edgeproxy test                  what the rules say, and whether they keep their promises
  edgeproxy serve --origin https://shop.example --host shop.example --listen 0.0.0.0:8080

Keys come from the environment variable EDGEPROXY_KEYS (make one: edgeproxy key).
`edgeproxy VERB --help` teaches each verb.
"""


def _visitor_arguments(parser: argparse.ArgumentParser) -> None:
    who = parser.add_argument_group("the visitor (nobody with a cookie, when nothing is said)")
    who.add_argument("--stage", help="their lifecycle stage, one of shop.toml's")
    who.add_argument("--segment", action="append", default=[], metavar="NAME", help="a segment; may be repeated")
    who.add_argument("--persona", metavar="NAME", help="a sample visitor of personas.toml")
    who.add_argument("--id", metavar="TEXT", help="an opaque id, for rules with a share")
    who.add_argument(
        "--cookie", metavar="VALUE", help="a real edge_visitor value, or edge_state=VALUE, verified with EDGEPROXY_KEYS"
    )
    when = parser.add_argument_group("the request")
    when.add_argument("--at", metavar="MOMENT", help="decide for this moment: 2026-12-24 or 2026-12-24T10:00")
    when.add_argument(
        "--header", "-H", action="append", default=[], metavar="NAME: VALUE", help="a request header; may be repeated"
    )
    when.add_argument("--country", metavar="CODE", help="the visitor's country, as the trusted header would tell it")


def _forcing_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("otherwise than the rules decide")
    what.add_argument("--experience", metavar="NAME", help="force this experience")
    what.add_argument(
        "--without", action="append", default=[], metavar="NAME", help="switch this experience off; may be repeated"
    )


def _rules_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rules", default="rules", metavar="DIR", help="the rules folder (default: rules)")


def build_parser() -> argparse.ArgumentParser:
    """All verbs with their flags; ``--help`` of each is written to teach."""
    from edgeproxy.settings import add_arguments

    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="edgeproxy",
        description="Server-side personalisation for any shop, as a reverse proxy.",
        epilog=EPILOG,
        formatter_class=raw,
    )
    parser.add_argument("--version", action="version", version=f"edgeproxy {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, title="verbs")

    serve = verbs.add_parser(
        "serve",
        help="put edgeproxy in front of a shop",
        description="Put edgeproxy in front of a shop. HTML pages that have slots are rewritten by the rules;"
        " everything else passes untouched. A rules folder with mistakes never goes live.",
        formatter_class=raw,
    )
    add_arguments(serve)

    demo = verbs.add_parser(
        "demo",
        help="a small shop of our own, the proxy before it, links to click",
        description="Starts a small shop, puts the proxy before it, and prints a link for each kind of visitor."
        " The rules are a folder that you can edit while it runs: save a file, reload the page.",
    )
    demo.add_argument("--listen", default="127.0.0.1:8080", metavar="HOST:PORT", help="default: %(default)s")
    demo.add_argument("--admin", default="127.0.0.1:0", metavar="HOST:PORT", help="default: a free port")
    demo.add_argument("--rules", metavar="DIR", help="your own folder (default: ./rules if it is there, else a copy)")

    purge = verbs.add_parser(
        "purge",
        help="make a running edgeproxy forget pages that it keeps",
        description="Asks the admin listener, which tells every worker. A pattern is a path as in rule files:"
        ' "/c/boots", "/c/**", "/**" for everything; whatever the query. With --tag, what the shop sent under'
        " that Surrogate-Key or Cache-Tag. Where the listener has a token, set EDGEPROXY_ADMIN_TOKEN.",
        epilog="curl does the same: curl -X PURGE 'http://127.0.0.1:8081/c/**'",
        formatter_class=raw,
    )
    purge.add_argument("patterns", nargs="*", metavar="PATTERN", help="paths whose pages are forgotten")
    purge.add_argument(
        "--tag", action="append", default=[], metavar="NAME", help="a tag of the shop's; may be repeated"
    )
    purge.add_argument("--admin", metavar="HOST:PORT", help="the admin listener (default: EDGEPROXY_ADMIN, or its own)")

    verbs.add_parser("key", help="make a signing key for EDGEPROXY_KEYS")

    cookie = verbs.add_parser(
        "cookie",
        help="sign or explain a visitor cookie",
        description="Prints the bare value of a signed visitor cookie, so that"
        ' curl -b "edge_visitor=$(edgeproxy cookie --stage new)" https://shop.example/ works;'
        " with --read it explains a value instead.",
    )
    cookie.add_argument("--stage", help="the visitor's stage")
    cookie.add_argument("--segment", action="append", default=[], metavar="NAME", help="a segment; may be repeated")
    cookie.add_argument("--id", metavar="TEXT", help="an opaque id, for rules with a share")
    cookie.add_argument(
        "--read", metavar="VALUE", help="explain this value instead of making one; edge_state=VALUE too"
    )

    preview = verbs.add_parser(
        "preview",
        help="make a link that shows a page as somebody else sees it",
        description="Prints a signed link that expires. It shows the page exactly as this visitor would see it;"
        " with --any whoever has it may use all preview flags on all pages.",
    )
    preview.add_argument("url", help="the page, at the address of the proxy")
    preview.add_argument("--expires", default="7d", metavar="DURATION", help="7d, 12h, 30m (default: %(default)s)")
    preview.add_argument("--any", action="store_true", help="leave to use all flags on all pages (for the team)")
    preview.add_argument("--stage")
    preview.add_argument("--segment", action="append", default=[], metavar="NAME")
    preview.add_argument("--persona", metavar="NAME")
    preview.add_argument("--experience", metavar="NAME", help="force this experience")
    preview.add_argument(
        "--without", action="append", default=[], metavar="NAME", help="switch this experience off; may be repeated"
    )
    preview.add_argument("--at", metavar="MOMENT", help="as if it were this moment")
    preview.add_argument("--off", action="store_true", help="the shop's own page")
    preview.add_argument("--explain", action="store_true", help="the explanation instead of the page")
    preview.add_argument(
        "--rules", metavar="NAME", help="a draft: a folder, branch or commit of what serve was given as --drafts"
    )

    check = verbs.add_parser(
        "check",
        help="say everything that is wrong with the rules",
        description="Reads the rules folder as the proxy does and prints every problem with file, line and what was"
        " probably meant. Exit code: 0 fine, 1 mistakes, 2 wrong usage, 3 only warnings with --strict.",
    )
    _rules_argument(check)
    check.add_argument("--strict", action="store_true", help="warnings count: exit 3 when there are only warnings")
    check.add_argument("--json", action="store_true", help="for machines")
    check.add_argument("--watch", action="store_true", help="again whenever a file is saved, until Ctrl-C")

    test = verbs.add_parser(
        "test",
        help="run the rules' own tests",
        description="Runs rules/tests/*.toml: what the rules promise, decided and placed as the proxy would,"
        " on the pages recorded below rules/tests/pages.",
    )
    _rules_argument(test)
    test.add_argument("--json", action="store_true", help="for machines")
    test.add_argument("names", nargs="*", metavar="TEXT", help="only tests whose sentence holds this text")

    schema = verbs.add_parser(
        "schema",
        help="print the JSON Schema of the rule files, for editors",
        description="Prints the JSON Schema of one kind of rule file, or of all. Put '#:schema FILE' at the head of"
        " a rule file, and editors complete and check as one types.",
    )
    schema.add_argument(
        "kind",
        nargs="?",
        help="shop, slots, audiences, lifecycle, experience, personas, tests or manners; left out: all",
    )

    record = verbs.add_parser(
        "record",
        help="save pages of the shop for tests and render",
        description="Fetches pages and saves them below rules/tests/pages, where `test` and `render` find them.",
    )
    record.add_argument("urls", nargs="+", metavar="URL")
    _rules_argument(record)

    init = verbs.add_parser(
        "init",
        help="make a small rules folder from the shop's own pages",
        description="Fetches a few pages of the shop, proposes slots that are really there, and writes a small rules"
        " folder that passes `check` and its own test: the start for your first rule.",
    )
    init.add_argument("--origin", required=True, metavar="URL", help="the shop")
    init.add_argument("--rules", default="rules", metavar="DIR", help="where to write (default: rules; must be empty)")
    init.add_argument("--page", action="append", default=[], metavar="PATH", help="look at this page too")

    doctor = verbs.add_parser(
        "doctor",
        help="check a set-up before it goes live, and say what to change",
        description="Looks at the shop as edgeproxy would, with at most ten GETs and nothing else: can it be reached,"
        " where does it redirect to, do its cookies, links and forms fit the name that visitors use, are the slots"
        " of the rules really there. Says in words what to change. Exit code: 0 fine, 1 something to fix,"
        " 2 wrong usage.",
    )
    doctor.add_argument("--origin", required=True, metavar="URL", help="the shop's own address, as for serve")
    doctor.add_argument("--host", metavar="NAME", help="the name that visitors use: shop.example")
    _rules_argument(doctor)
    doctor.add_argument(
        "--page", action="append", default=[], metavar="PATH", help="look at this page (else: those that rules name)"
    )
    doctor.add_argument("--origin-host", metavar="NAME", help="a Host to send to the shop, as for serve")
    doctor.add_argument("--origin-ca", metavar="FILE", help="certificates that may vouch for the shop, as for serve")
    doctor.add_argument(
        "--header", "-H", action="append", default=[], metavar="NAME: VALUE", help="send this too; may be repeated"
    )
    doctor.add_argument("--json", action="store_true", help="for machines")

    explain = verbs.add_parser(
        "explain",
        help="why somebody sees what they see",
        description="Says for each experience in order what happened and why, with file and line, and for each slot"
        " of the page who won it or why nobody did. Nothing is sent but one GET of the page.",
    )
    explain.add_argument("url", help="the page: the shop's address or the proxy's, or a path with --origin")
    explain.add_argument("--origin", metavar="URL", help="fetch the page from here instead")
    _rules_argument(explain)
    _visitor_arguments(explain)
    _forcing_arguments(explain)
    explain.add_argument("--json", action="store_true", help="for machines")

    journey = verbs.add_parser(
        "journey",
        help="what visitors see on the way from stranger to loyal",
        description="Prints for each stage how one gets there, somebody who is there, and which experiences each page"
        " shows them: recorded pages with the edits made, others decided only. Nothing is fetched. Exit code: 0 fine,"
        " 1 no life leads to some stage, or the rules have mistakes, 2 wrong usage.",
    )
    journey.add_argument("pages", nargs="*", metavar="PATH", help="left out: the recorded pages, else those in rules")
    _rules_argument(journey)
    journey.add_argument(
        "--segment", action="append", default=[], metavar="NAME", help="of the shop's cookie, on all the way"
    )
    journey.add_argument("--at", metavar="MOMENT", help="at this moment: 2026-12-24 or 2026-12-24T10:00 (default: now)")
    journey.add_argument("--json", action="store_true", help="for machines")

    render = verbs.add_parser(
        "render",
        help="show a page with its edits applied",
        description="Takes a file or fetches a URL, applies the rules for this visitor, and prints the page, or with"
        " --diff what changed.",
    )
    render.add_argument("page", metavar="FILE-or-URL")
    _rules_argument(render)
    _visitor_arguments(render)
    _forcing_arguments(render)
    render.add_argument("--path", metavar="PATH", help="the path that the page has in the shop (default: from the URL)")
    render.add_argument("--diff", action="store_true", help="a readable difference to the shop's own page")
    render.add_argument("--charset", metavar="NAME", help="of the file, as a Content-Type header would say it")

    sheet = verbs.add_parser(
        "sheet",
        help="a contact sheet: pages as every persona sees them, in one file",
        description="Shows pages as every persona sees them, side by side, as the proxy makes them: pictures by"
        " headless Chromium where there is one (CHROMIUM names it), else the pages in frames. What differs from the"
        " shop's own page is outlined and told; what is broken is loud. Exit code: 0 fine, 1 a page is broken,"
        " 2 wrong usage.",
    )
    sheet.add_argument("--pages", nargs="+", required=True, metavar="PATH", help="paths of the shop: / /c/boots")
    sheet.add_argument("--personas", nargs="+", default=[], metavar="NAME", help="left out: all of personas.toml")
    sheet.add_argument(
        "--at", nargs="+", default=[], metavar="MOMENT", help="2026-12-24, 2026-12-24T10:00; left out: now"
    )
    sheet.add_argument("--out", default="sheet.html", metavar="FILE", help="default: %(default)s")
    where = sheet.add_mutually_exclusive_group()
    where.add_argument("--origin", metavar="URL", help="the shop's own address; the rules folder is put before it")
    where.add_argument("--proxy", metavar="URL", help="a running proxy, previewed with EDGEPROXY_KEYS")
    where.add_argument("--demo", action="store_true", help="the demo shop with the demo's rules")
    where.add_argument("--link", metavar="URL", help="the console's address: prints a signed link to the sheet there")
    _rules_argument(sheet)
    sheet.add_argument("--origin-host", metavar="NAME", help="the name that the shop answers to, as for serve")
    sheet.add_argument(
        "--width", type=int, nargs="+", default=[], metavar="PIXELS", help="of pictures (default: 1280 390)"
    )
    sheet.add_argument("--no-pictures", action="store_true", help="pages in frames, even where Chromium is")
    sheet.add_argument("--expires", default="7d", metavar="DURATION", help="of a link: 7d, 12h (default: %(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    _open_standard_streams()
    from edgeproxy.commands.looking import Mistakes, Usage, sound_addresses

    arguments = build_parser().parse_args(argv)
    try:
        if arguments.verb not in {"serve", "demo"}:  # settings tell every problem at once
            sound_addresses(arguments)
        return _run(arguments)
    except Usage as error:
        print(f"edgeproxy {arguments.verb}: {error}", file=sys.stderr)
        return 2
    except Mistakes as error:
        print("\n".join(str(problem) for problem in error.problems), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `edgeproxy render … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _open_standard_streams() -> None:
    """What starts us may have closed some of them: our first sockets would get their numbers, and be written to."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - open as long as we run


def _keys(environ: Mapping[str, str]) -> str:
    from edgeproxy.commands.looking import Usage
    from edgeproxy.core.signing import BadKey
    from edgeproxy.settings import keys_text

    try:
        return keys_text(environ)
    except BadKey as error:
        raise Usage(f"{environ['EDGEPROXY_KEYS_FILE']}: {error}") from None


def _run(a: argparse.Namespace) -> int:
    # Imports are per verb: `edgeproxy key` need not wait for an HTTP client.
    out, err, environ = sys.stdout, sys.stderr, os.environ
    match a.verb:
        case "serve":
            from edgeproxy.commands.serve import run_serve

            return run_serve(a, environ, err)
        case "demo":
            from edgeproxy.commands.demo import run_demo

            return run_demo(a.listen, a.admin, Path(a.rules) if a.rules else None, out, err)
        case "key":
            from edgeproxy.commands.keys import run_key

            return run_key(out)
        case "cookie":
            from edgeproxy.commands.keys import run_cookie, run_cookie_read

            keys, now = _keys(environ), time.time()
            if a.read is not None:
                return run_cookie_read(a.read, keys=keys, now=now, out=out, err=err)
            return run_cookie(stage=a.stage, segments=a.segment, id=a.id, keys=keys, now=now, out=out, err=err)
        case "preview":
            from edgeproxy.commands.keys import run_preview_link

            return run_preview_link(
                a.url,
                stage=a.stage,
                segments=a.segment,
                persona=a.persona,
                experience=a.experience,
                without=a.without,
                at=a.at,
                off=a.off,
                explain=a.explain,
                rules=a.rules,
                any=a.any,
                expires=a.expires,
                keys=_keys(environ),
                now=time.time(),
                out=out,
                err=err,
            )
        case "purge":
            from edgeproxy.commands.purge import run_purge

            return run_purge(a.patterns, a.tag, a.admin, environ, out, err)
        case "check":
            from edgeproxy.commands.rules import run_check, run_watch

            return (run_watch if a.watch else run_check)(Path(a.rules), a.strict, a.json, out)
        case "schema":
            from edgeproxy.commands.rules import run_schema

            return run_schema(a.kind, out, err)
        case "test":
            from edgeproxy.commands.look import run_test

            return run_test(Path(a.rules), a.names, a.json, out)
        case "explain":
            from edgeproxy.commands.look import run_explain

            return run_explain(a, environ, out)
        case "journey":
            from edgeproxy.commands.journey import run_journey

            return run_journey(
                Path(a.rules), pages=a.pages, segments=a.segment, at=a.at, json=a.json, now=time.time(), out=out
            )
        case "render":
            from edgeproxy.commands.look import run_render

            return run_render(a, environ, out, err)
        case "doctor":
            from edgeproxy.commands.doctor import run_doctor

            return run_doctor(a, environ, out, err)
        case "sheet":
            from edgeproxy.commands.sheet import run_sheet

            return run_sheet(a, environ, out, err)
        case "record":
            from edgeproxy.commands.start import run_record

            return run_record(Path(a.rules), a.urls, out)
        case _:
            from edgeproxy.commands.start import run_init

            return run_init(a.origin, Path(a.rules), a.page, out)
