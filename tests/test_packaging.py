"""The wheel holds everything that runs without the repository: templates, pictures' data, the demo's rules.

And the Dockerfile copies what the wheel is built from.
"""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import edgeproxy
from tests.conftest import missing

ROOT = Path(__file__).parents[1]


def copied_by_docker() -> list[str]:
    """What the first stage copies, from the Dockerfile itself."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    return " ".join(lines).split()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what the Dockerfile's first stage has, in an environment of its own."""
    source, out = tmp_path_factory.mktemp("src"), tmp_path_factory.mktemp("wheels")
    skip = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in copied_by_docker():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=skip)
        else:
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(source)]
    built = subprocess.run(command, capture_output=True, text=True)
    if built.returncode and re.search("No matching distribution|ConnectionError|Temporary failure", built.stderr):
        missing("the build's own tools cannot be fetched: no package index is in reach")
    assert built.returncode == 0, built.stderr
    (found,) = out.glob("*.whl")
    return found


def test_the_wheel_holds_the_package_and_its_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    kept = {".py", ".html", ".css", ".toml", ".typed", ".txt", ".json", ".svg"}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "edgeproxy").rglob("*")
        if path.suffix in kept and "__pycache__" not in path.parts
    }
    assert wanted <= names
    rules = {path.relative_to(ROOT / "rules").as_posix() for path in (ROOT / "rules").rglob("*") if path.is_file()}
    assert {f"edgeproxy/demo/rules/{name}" for name in rules} <= names
    assert not [name for name in names if name.startswith(("tests/", "rules/"))]


def test_the_installed_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    """In a fresh environment that borrows only the dependencies of this one."""
    home = tmp_path / "venv"
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
    (home / "lib" / version / "site-packages" / "borrowed.pth").write_text("\n".join(sorted(borrowed)))
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "EDGEPROXY"))}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(str(home / "bin" / "edgeproxy"), "--version") == f"edgeproxy {edgeproxy.__version__}\n"
    shop = "from edgeproxy.demo import run; f = run.rules_folder(None, run.Path('.')); print(run.__file__, f.path)"
    where = run(str(python), "-c", shop)
    assert str(home) in where, "the wheel's own code ran, not the repository's"
    assert (tmp_path / "demo-rules" / "shop.toml").is_file()


def test_the_image_runs_as_nobody_in_particular() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.search(r"^USER (?!root|0\b)\S+$", text, re.MULTILINE)
    assert "HEALTHCHECK" in text
    assert 'ENTRYPOINT ["edgeproxy"]' in text
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert {f"!{name}" for name in copied_by_docker()} <= set(ignored)
