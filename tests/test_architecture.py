"""The shape of the house, held by its imports: what is pure stays pure, and nobody reaches up.

Reads the source as text; nothing is imported, so that a broken module cannot hide what it imports.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "edgeproxy"
MODULES = sorted(PACKAGE.rglob("*.py"))

PURE = ("edgeproxy.core", "edgeproxy.html")

FIELD_LIBRARIES = {  # what a pure package may use beside the standard library, and nobody else in it
    "edgeproxy.core": {"itsdangerous", "cachetools"},
    "edgeproxy.html": {"turbohtml", "selectolax"},
}

CORE_NOUNS = ("edgeproxy.core.model", "edgeproxy.core.markup")  # all that html may know of core

SIGNED = re.compile(r"edgeproxy\.core\.(timestamped|visitor|signing|tokens|preview)$")

# Sockets, files, clocks, dice, logging, processes and concurrency: arguments bring in what these would.
IMPURE = frozenset(
    [
        "aiofiles",
        "asyncio",
        "builtins",
        "concurrent",
        "ctypes",
        "ftplib",
        "fcntl",
        "glob",
        "http",
        "imaplib",
        "io",
        "logging",
        "mmap",
        "multiprocessing",
        "os",
        "pathlib",
        "pdb",
        "platform",
        "poplib",
        "queue",
        "random",
        "sched",
        "secrets",
        "select",
        "selectors",
        "shutil",
        "signal",
        "smtplib",
        "socket",
        "socketserver",
        "ssl",
        "subprocess",
        "syslog",
        "tempfile",
        "threading",
        "time",
        "timeit",
        "urllib.request",
        "uuid",
        "warnings",
    ]
)

CALLS_TO_THE_OUTSIDE = frozenset({"open", "print", "input", "exec", "eval", "breakpoint", "__import__"})
READS_THE_CLOCK = frozenset({"now", "utcnow", "today"})


def name_of(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every dotted name that a module imports, wherever the import stands; relative ones made absolute."""
    module = name_of(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [node.module])])
            yield node.lineno, base
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def below(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def of(package: str) -> list[Path]:
    return [path for path in MODULES if below(name_of(path), package)]


def test_the_packages_are_where_this_test_looks() -> None:
    for package in PURE:
        assert len(of(package)) > 3


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_import_nothing_that_acts(package: str) -> None:
    wrong = []
    for path in of(package):
        for line, name in imports(path):
            top = name.partition(".")[0]
            if top == "edgeproxy":
                continue
            stdlib = top in sys.stdlib_module_names and not any(below(name, one) for one in IMPURE)
            if not stdlib and top not in FIELD_LIBRARIES[package]:
                wrong.append(f"{path.relative_to(REPOSITORY)}:{line}: {name}")
    assert wrong == []


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_neither_wait_nor_look_outside(package: str) -> None:
    wrong = []
    for path in of(package):
        for node in ast.walk(tree_of(path)):
            asynchronous = isinstance(node, ast.AsyncFunctionDef | ast.AsyncWith | ast.AsyncFor | ast.Await)
            calls = isinstance(node, ast.Call) and (
                (isinstance(node.func, ast.Name) and node.func.id in CALLS_TO_THE_OUTSIDE)
                or (isinstance(node.func, ast.Attribute) and node.func.attr in READS_THE_CLOCK)
            )
            if asynchronous or calls:
                wrong.append(f"{path.relative_to(REPOSITORY)}:{getattr(node, 'lineno', 0)}: {ast.unparse(node)[:80]}")
    assert wrong == []


def test_core_imports_nothing_else_of_ours_and_html_only_cores_nouns() -> None:
    wrong = []
    allowed = {"edgeproxy.core": ("edgeproxy.core",), "edgeproxy.html": ("edgeproxy.html", *CORE_NOUNS)}
    for package, may in allowed.items():
        for path in of(package):
            for line, name in imports(path):
                if below(name, "edgeproxy") and not any(below(name, one) or below(one, name) for one in may):
                    wrong.append(f"{path.relative_to(REPOSITORY)}:{line}: {name}")
    assert wrong == []


def test_only_what_reads_signed_things_knows_the_signing_library() -> None:
    pure = [path for package in PURE for path in of(package)]
    users = {name_of(path) for path in pure for _, name in imports(path) if below(name, "itsdangerous")}
    assert [user for user in sorted(users) if not SIGNED.match(user)] == []


def test_nobody_reaches_up_to_the_command_line() -> None:
    """cli → commands → the rest; only ``__main__`` starts the cli."""
    wrong = []
    for path in MODULES:
        module = name_of(path)
        for line, name in imports(path):
            if below(name, "edgeproxy.cli") and module not in {"edgeproxy.__main__", "edgeproxy.cli"}:
                wrong.append(f"{path.relative_to(REPOSITORY)}:{line}: {name}")
            reached = below(name, "edgeproxy.commands") and not below(module, "edgeproxy.commands")
            if reached and module != "edgeproxy.cli":
                wrong.append(f"{path.relative_to(REPOSITORY)}:{line}: {name}")
    assert wrong == []


def test_only_the_wiring_puts_the_proxy_together() -> None:
    """``proxy`` is known to what wires, runs and shows it; the rooms that it uses do not know it."""
    wrong = []
    for package in ("core", "html", "origin", "respond", "sanitise", "journal", "rulebook", "settings", "errors"):
        for path in of(f"edgeproxy.{package}"):
            for line, name in imports(path):
                if any(below(name, f"edgeproxy.{upper}") for upper in ("proxy", "app", "demo", "console", "server")):
                    wrong.append(f"{path.relative_to(REPOSITORY)}:{line}: {name}")
    assert wrong == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(REPOSITORY)) for path in MODULES if not (ast.get_docstring(tree_of(path)) or "").strip()
    ]
    assert silent == []


def test_the_map_of_the_code_names_every_room() -> None:
    """The package's docstring is where a newcomer begins: every sub-package stands in it."""
    said = ast.get_docstring(tree_of(PACKAGE / "__init__.py")) or ""
    rooms = [path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]
    assert [room for room in sorted(rooms) if not re.search(rf"\b{room}/|\b{room}\.py", said)] == []


# --------------------------------------------------------------------------- words

LEFT_OVER = re.compile("|".join(["TO" + "DO", "FIX" + "ME", r"(?:#|//|<!--).*\bX" + r"XX\b", "HA" + "CK:"]))
POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{[^}]*\})" + r"\+")
OF_ONE_MACHINE = re.compile(r"(?<![\w.])/(?:work|farm|root|home/\w+|Users/\w+)/")
BESIDE = re.compile(r"\.\./" + "shared")

TEXT = {".py", ".toml", ".md", ".html", ".css", ".js", ".svg", ".jinja", ".txt", ".json", ""}
SKIPPED = {".git", ".venv", "dist", "build", "node_modules", "__pycache__", ".hypothesis"}


def texts() -> Iterator[tuple[Path, str]]:
    """The project's own text files, generated and foreign folders left out."""
    for path in sorted(REPOSITORY.rglob("*")):
        inside = path.relative_to(REPOSITORY)
        cached = any(part in SKIPPED or part.endswith(("_cache", ".egg-info")) for part in inside.parts)
        if not cached and path.is_file() and path.suffix in TEXT:
            try:
                yield inside, path.read_text("utf-8")
            except UnicodeDecodeError:
                continue  # a recorded page in another charset


def lines_with(pattern: re.Pattern[str], *, but: frozenset[str] = frozenset()) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in texts()
        if str(path) not in but
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_to_do_later() -> None:
    assert lines_with(LEFT_OVER) == []


def test_no_path_of_one_machine_is_written_down() -> None:
    assert lines_with(OF_ONE_MACHINE) == []


def test_only_the_ci_script_knows_what_lies_beside_the_project() -> None:
    assert lines_with(BESIDE, but=frozenset({".ci/run"})) == []


def test_no_group_is_repeated_possessively() -> None:
    """``(?:a|b)*+`` matches what it should not, and the other way round, before Python 3.11.5 (cpython 106052);
    ``(?>(?:a|b)*)`` says the same."""
    found = [
        f"{path.relative_to(REPOSITORY)}: {text[:60]}"
        for path in MODULES
        for text in _strings(path)
        if POSSESSIVE_GROUP.search(text)
    ]
    assert found == []


def _strings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
            yield node.value if isinstance(node.value, str) else node.value.decode("latin-1")
