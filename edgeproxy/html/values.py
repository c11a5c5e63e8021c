"""What operators write behind a verb, read and checked: content, classes, attributes, CSS, selectors.

Here: TOML values → plain values, with mistakes that say what was meant.  Not here: what verbs do (``edits``, the
only caller).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from edgeproxy.core.markup import Content, Form, VerbMistake
from edgeproxy.html import selectors

CONTENT_SCHEMA: Final[Mapping[str, object]] = {
    "oneOf": [
        {
            "type": "string",
            "description": "a file below fragments/; may hold {segment} or {stage}",
            "pattern": r"^[^/\\<>][^\\<>]*\.html$",
        },
        {
            "type": "object",
            "description": "plain text, escaped",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "description": "HTML, as a fragment",
            "properties": {"html": {"type": "string"}},
            "required": ["html"],
            "additionalProperties": False,
        },
    ]
}

_PICK: Final = re.compile(r"\{([^{}]*)\}")
_ATTRIBUTE_NAME: Final = re.compile(r"[^\s\"'<>/=\x00-\x20\x7f]+")
_END_STYLE: Final = re.compile(r"</style", re.IGNORECASE)
_CSS_TOKEN: Final = re.compile(
    r"/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|url\(\s*[^\s\"'()\\]*\s*\)|\\.|/\*|[\"'(){}\[\]]", re.DOTALL
)
_BRACKETS: Final = {"(": ")", "[": "]", "{": "}"}


def content(verb: str, value: object) -> Content:
    """``"first-steps.html"``, ``{ text = "…" }`` or ``{ html = "…" }``."""
    if isinstance(value, str):
        return Content(Form.PATH, _path(verb, value))
    if isinstance(value, Mapping):
        keys = [key for key in ("text", "html") if key in value]
        extra = sorted(str(key) for key in value if key not in ("text", "html"))
        if len(keys) != 1 or extra:
            said = f'unknown key "{extra[0]}"' if extra else "both text and html" if keys else "an empty table"
            raise VerbMistake(f"{verb}: {said}", '{ text = "…" } or { html = "…" }')
        source = value[keys[0]]
        if not isinstance(source, str):
            raise VerbMistake(f"{verb}: {keys[0]} is not a string", f'{keys[0]} = "…"')
        return Content(Form(keys[0]), source)
    raise VerbMistake(
        f"{verb} takes a file below fragments/, text or HTML", '"first-steps.html", { text = "…" } or { html = "…" }'
    )


def _path(verb: str, path: str) -> str:
    if "<" in path:
        raise VerbMistake(f"{verb}: a plain string names a file below fragments/", 'write { html = "…" } for HTML')
    if not path.endswith(".html"):
        hint = 'write { text = "…" } for text' if " " in path or "." not in path else "its name ends in .html"
        raise VerbMistake(f'{verb}: "{path}" is no file below fragments/', hint)
    if path.startswith("fragments/"):
        raise VerbMistake(f'{verb}: "{path}" begins with fragments/', f'write "{path.removeprefix("fragments/")}"')
    steps = path.split("/")
    if "\\" in path or any(step in ("", ".", "..") or step.startswith(".") for step in steps):
        raise VerbMistake(f'{verb}: "{path}" leaves fragments/', "a path below fragments/, without .. and dot files")
    for pick in _PICK.findall(path):
        if pick not in ("segment", "stage"):
            raise VerbMistake(f'{verb}: unknown "{{{pick}}}" in a path', "there are {segment} and {stage}")
    if re.search(r"[{}]", _PICK.sub("", path)):
        raise VerbMistake(f'{verb}: a single brace in "{path}"', "there are {segment} and {stage}")
    return path


def flag(verb: str, value: object) -> None:
    """``remove = true`` and nothing else."""
    if value is False:
        raise VerbMistake(f"{verb} = false does nothing", f"write {verb} = true, or delete the edit")
    if value is not True:
        raise VerbMistake(f"{verb} takes only true", f"write {verb} = true")


def classes(verb: str, value: object) -> tuple[str, ...]:
    """``"is-calm"``, ``"is-calm wide"`` or a list of such."""
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(one, str) for one in listed):
        raise VerbMistake(f"{verb} takes a class, or a list of classes", f'{verb} = "is-calm"')
    found: list[str] = []
    for one in listed:
        names = str(one).split()
        if not names:
            raise VerbMistake(f"{verb}: an empty class", f'{verb} = "is-calm"')
        for name in names:
            if name.startswith(".") and len(name) > 1:
                raise VerbMistake(f'{verb}: "{name}" begins with a dot', f'write "{name[1:]}"')
            if name not in found:
                found.append(name)
    return tuple(found)


def attributes(verb: str, value: object) -> tuple[tuple[str, str | bool], ...]:
    """``{ href = "…", title = false, hidden = true }``: false removes, true writes one without value."""
    if not isinstance(value, Mapping) or not value:
        raise VerbMistake(f"{verb} takes a table of attributes", f'{verb} = {{ href = "…", title = false }}')
    found: dict[str, tuple[str, str | bool]] = {}
    for name, said in value.items():
        if not isinstance(name, str) or not _ATTRIBUTE_NAME.fullmatch(name):
            raise VerbMistake(f'{verb}: "{name}" is no attribute\'s name', "no spaces, quotes, <, >, / or =")
        if name.lower() in found:
            raise VerbMistake(f'{verb}: "{name}" twice', "HTML does not tell capitals from small letters")
        if not isinstance(said, str | bool):
            hint = f'{name} = "{said}"' if isinstance(said, int | float) else f'{name} = "…", or false to remove it'
            raise VerbMistake(f"{verb}: {name} is not a string", f"write {hint}")
        if isinstance(said, str) and "\x00" in said:
            raise VerbMistake(f"{verb}: a NUL character in {name}", "leave it out")
        found[name.lower()] = (name, said)
    return tuple(found.values())


def count(verb: str, value: object) -> int:
    """``keep_first = 6``: one or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        hint = 'to empty it, write inner = { html = "" }' if value == 0 and value is not False else f"{verb} = 6"
        raise VerbMistake(f"{verb} takes a number from 1 on", hint)
    return value


def selector_list(verb: str, value: object) -> tuple[str, ...]:
    """``reorder = ["#sale", ".new"]``."""
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise VerbMistake(f"{verb} takes a list of CSS selectors", f'{verb} = ["#sale", ".new"]')
    for at, one in enumerate(value):
        if one in value[:at]:
            raise VerbMistake(f'{verb}: "{one}" twice', "keep the first")
        wrong = selectors.problem(one)
        if wrong:
            raise VerbMistake(f'{verb}: the selector "{one}" does not parse: {wrong}', "any CSS selector")
    return tuple(value)


def css(verb: str, value: object) -> str:
    """CSS that can neither end its ``<style>`` nor swallow the next one's rules."""
    if not isinstance(value, str) or not value.strip():
        raise VerbMistake(f"{verb} takes CSS", f'{verb} = ".promo {{ display: none }}"')
    if _END_STYLE.search(value):
        raise VerbMistake(f"{verb}: </style in CSS would end the style element", r"write <\/style inside a string")
    if "\x00" in value:
        raise VerbMistake(f"{verb}: a NUL character", "leave it out")
    open_: list[str] = []
    for token in _CSS_TOKEN.finditer(value):
        text = token.group()
        line = value.count("\n", 0, token.start()) + 1
        if text in ("/*", '"', "'"):
            raise VerbMistake(f"{verb}: {'a comment' if text == '/*' else 'a string'} is not closed, line {line}")
        if text in _BRACKETS:
            open_.append(text)
        elif text in _BRACKETS.values() and (not open_ or _BRACKETS[open_.pop()] != text):
            raise VerbMistake(f'{verb}: "{text}" closes nothing, line {line}', "check the brackets before it")
    if open_:
        raise VerbMistake(f'{verb}: "{open_[-1]}" is not closed', f'write "{_BRACKETS[open_[-1]]}"')
    return value
