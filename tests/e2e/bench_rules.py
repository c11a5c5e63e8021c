"""The edits of the side-by-side benchmark as a rules folder: one slot per selector, one experience per segment.

``python -m tests.e2e.bench_rules EDITS.json FOLDER`` writes it for a benchmark by hand.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

SHOP = Path(__file__).parents[1] / "data" / "bench-rules" / "shop.toml"

Change = Mapping[str, str]  # {op, sel, html | value | name}


def write(edits: Mapping[str, Sequence[Change]], folder: Path) -> None:
    """Write the folder; a segment without edits gets no experience.  Fragments longer than a line become files."""
    segments = {segment: changes for segment, changes in edits.items() if changes}
    for name in ("experiences", "fragments"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(SHOP, folder / "shop.toml")
    slots = dict.fromkeys(change["sel"] for changes in segments.values() for change in changes)
    _save(folder / "slots.toml", "\n".join(f"[{slot(sel)}]\nfind = {_text(sel)}\n" for sel in slots))
    audiences = (f"[{segment}-visitors]\nsegment = {_text(segment)}\n" for segment in segments)
    _save(folder / "audiences.toml", "\n".join(audiences))
    for segment, changes in segments.items():
        lines = [f'says = "What {segment} visitors get"', f'for = "{segment}-visitors"', 'because = "the benchmark"']
        lines += ['purpose = "help"', 'owner = "bench@shop.example"']
        for change in changes:
            lines += ["", "[[edit]]", f"slot = {_text(slot(change['sel']))}", _verb(segment, change, folder)]
        _save(folder / "experiences" / f"{segment}.toml", "\n".join(lines) + "\n")


def slot(selector: str) -> str:
    """A slot's name for a selector: ``a.account-link`` → ``a-account-link``."""
    return selector.strip("#.").replace(".", "-").replace("#", "-")


def _verb(segment: str, change: Change, folder: Path) -> str:
    match change["op"]:
        case "remove":
            return "remove = true"
        case "addclass":
            return f"add_class = {_text(change['value'])}"
        case "attr":
            return f"attributes = {{ {change['name']} = {_text(change['value'])} }}"
        case "inner" | "append" as verb:
            if "\n" not in change["html"]:
                return f"{verb} = {{ html = {_text(change['html'])} }}"
            file = f"{segment}-{slot(change['sel'])}.html"
            _save(folder / "fragments" / file, change["html"])
            return f"{verb} = {_text(file)}"
        case unknown:
            raise ValueError(f"the benchmark has an edit that rules cannot say: {unknown}")


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # a TOML basic string, for what the benchmark holds


def _save(path: Path, text: str) -> None:
    path.write_bytes(text.encode())


if __name__ == "__main__":
    write(json.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))
