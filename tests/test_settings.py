"""Settings: flags and environment → one frozen value, or every problem at once with what to do."""

from __future__ import annotations

import argparse
import os
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy import values
from edgeproxy.core.visitor import Keys
from edgeproxy.settings import OPTIONS, Limits, Option, Settings, add_arguments, flag_of, keys_text, markdown_table
from edgeproxy.values import Address, Unfit

KEY = "tests-sign-with-this-9f31c2"


def gather(tmp_path: Path, *flags: str, **environ: str) -> Settings:
    """Settings of a call that is fine."""
    found = told(tmp_path, *flags, **environ)
    assert isinstance(found, Settings), [str(problem) for problem in found]
    return found


def told(tmp_path: Path, *flags: str, **environ: str) -> Settings | tuple[object, ...]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    usual = {"EDGEPROXY_ORIGIN": "http://shop.internal", "EDGEPROXY_KEYS": KEY, "EDGEPROXY_RULES": str(tmp_path)}
    return Settings.gather(parser.parse_args(list(flags)), {**usual, **environ})


def problems(tmp_path: Path, *flags: str, **environ: str) -> list[str]:
    found = told(tmp_path, *flags, **environ)
    assert isinstance(found, tuple)
    return [str(problem) for problem in found]


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    settings = gather(tmp_path)
    assert settings.origin == "http://shop.internal"
    assert settings.listen == Address("127.0.0.1", 8080)
    assert settings.deadline == 30
    assert settings.limits == Limits()
    assert settings.limits.header_bytes == 32 * 1024
    assert settings.cookie.name == "edge_visitor"
    assert settings.cookie.max_age == 400 * 86400
    assert "GET" in settings.methods


def test_the_defaults_in_the_table_are_those_of_the_dataclasses(tmp_path: Path) -> None:
    """Nobody who makes Settings in code gets other defaults than somebody who types a command."""
    by_hand = Settings(origin="http://shop.internal", rules=tmp_path, keys=Keys.parse(KEY))
    assert gather(tmp_path) == by_hand


def test_a_flag_wins_over_its_variable(tmp_path: Path) -> None:
    assert gather(tmp_path, EDGEPROXY_LISTEN="127.0.0.1:1").listen.port == 1
    assert gather(tmp_path, "--listen", "127.0.0.1:2", EDGEPROXY_LISTEN="127.0.0.1:1").listen.port == 2


def test_every_option_can_be_set_by_its_variable_and_by_its_flag(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    unusual = {
        "origin": "https://other.internal:8443,https://third.internal",
        "listen": "[::1]:9000",
        "admin": "127.0.0.1:9001",
        "hosts": "shop.example,*.shop.example",
        "trust": "10.0.0.0/8,fd00::/8",
        "preview": "open",
        "drafts": str(tmp_path),
        "workers": "3",
        "tls_cert": str(authority),
        "tls_key": str(authority),
        "methods": "PROPFIND",
        "log": "json",
        "log_addresses": "full",
        "origin_host": "inner.example:81",
        "origin_ca": str(authority),
        "origin_health": "/well?quick=1",
        "upgrade": "refuse",
        "proxy_protocol": "on",
        "deadline": "10",
        "early_flush": "0.05",
        "via": "front",
        "country_header": "CF-IPCountry",
        "cookie_name": "who",
        "cookie_domain": "shop.example",
        "cookie_max_age": "30 days",
        "admin_hosts": "edge.internal",
        "admin_token": "0123456789abcdef-long",
    } | {"limit_" + each.name: "7" for each in fields(Limits)}
    named = {option.field: option for option in OPTIONS}
    assert set(unusual) | {"keys", "keys_file", "rules"} == set(named)
    usual = gather(tmp_path)
    by_variable = gather(tmp_path, **{named[name].variable: text for name, text in unusual.items()})
    flags = [
        word
        for name, text in unusual.items()
        if not named[name].secret
        for part in (text.split(",") if named[name].many else [text])
        for word in (flag_of(named[name]), part)
    ]
    assert gather(tmp_path, *flags, EDGEPROXY_ADMIN_TOKEN=unusual["admin_token"]) == by_variable
    for each in fields(Settings):
        if each.name not in ("keys", "keys_file", "rules"):
            assert getattr(by_variable, each.name) != getattr(usual, each.name), each.name
    for each in fields(Limits):
        assert getattr(by_variable.limits, each.name) == 7


def test_all_problems_come_at_once_and_each_says_what_to_do(tmp_path: Path) -> None:
    flags = ["--origin", "ftp://shop", "--listen", "0.0.0.0:99999", "--host", "a/b", "--trust", "10.0.0.1/8"]
    found = problems(tmp_path, *flags, "--limit-header-bytes", "lots", EDGEPROXY_KEYS="secret")
    assert [problem.split(":")[0] for problem in found] == [
        "--origin",
        "--listen",
        "--host",
        "--trust",
        "EDGEPROXY_KEYS",
        "--limit-header-bytes",
    ]
    assert all("(" in problem or ";" in problem for problem in found)


@pytest.mark.parametrize(
    ("flags", "environ", "place"),
    [
        ((), {"EDGEPROXY_ORIGIN": ""}, "--origin"),
        ((), {"EDGEPROXY_KEYS": ""}, "EDGEPROXY_KEYS"),
        (("--listen", "0.0.0.0:80"), {}, "--host"),
        (("--listen", "shop.example:80"), {}, "--host"),
        (("--admin", "127.0.0.1:8080"), {}, "--admin"),
        (("--origin", "http://localhost:8080"), {}, "--origin"),
        (("--origin", "http://127.0.0.1:8080/"), {}, "--origin"),
        (("--admin", "0.0.0.0:9000"), {}, "EDGEPROXY_ADMIN_TOKEN"),
        (("--admin", "0.0.0.0:9000"), {"EDGEPROXY_ADMIN_TOKEN": "short"}, "EDGEPROXY_ADMIN_TOKEN"),
        (("--preview", "open", "--listen", "0.0.0.0:80", "--host", "shop.example"), {}, "--preview"),
        (("--preview", "maybe"), {}, "--preview"),
        (("--rules", "/nowhere/at/all"), {}, "--rules"),
        (("--origin-ca", "/nowhere/at/all"), {}, "--origin-ca"),
        (("--country-header", "CF-IPCountry"), {}, "--country-header"),
        (("--proxy-protocol", "on"), {}, "--proxy-protocol"),
        (("--workers", "0"), {}, "--workers"),
        (("--workers", "1000"), {}, "--workers"),
        (("--tls-cert", "shop.pem"), {}, "--tls-key"),
        (("--tls-key", "shop.pem"), {}, "--tls-cert"),
        (("--keys-file", "/nowhere/at/all"), {}, "--keys-file"),
        (("--keys-file", "/nowhere/at/all"), {"EDGEPROXY_KEYS": ""}, "/nowhere/at/all"),
        (("--trust", "0.0.0.0/0"), {}, "--trust"),
        (("--cookie-name", "__Host-v", "--cookie-domain", "shop.example"), {}, "--cookie-domain"),
        (("--cookie-name", "edge_state"), {}, "--cookie-name"),
        (("--cookie-name", "a b"), {}, "--cookie-name"),
        (("--method", "TRACE"), {}, "--method"),
        (("--limit-header-lines", "0"), {}, "--limit-header-lines"),
        (("--limit-header-seconds", "0"), {}, "--limit-header-seconds"),
        (("--deadline", "soon"), {}, "--deadline"),
        ((), {"EDGEPROXY_LOG": "xml"}, "EDGEPROXY_LOG"),
    ],
)
def test_what_cannot_be_is_told_once_at_its_place(
    tmp_path: Path, flags: tuple[str, ...], environ: dict[str, str], place: str
) -> None:
    found = problems(tmp_path, *flags, **environ)
    assert [problem.split(": ")[0] for problem in found] == [place], found


def test_secrets_stand_in_no_repr_and_in_no_problem(tmp_path: Path) -> None:
    settings = gather(tmp_path, EDGEPROXY_ADMIN_TOKEN="the-token-of-the-admins")
    assert KEY not in repr(settings)
    assert "the-token" not in repr(settings)
    found = problems(
        tmp_path,
        "--origin",
        "http://shop:hunter2@internal",
        EDGEPROXY_KEYS="s3cr3t-word",
        EDGEPROXY_ADMIN_TOKEN="t0ken",
    )
    assert not any(secret in problem for problem in found for secret in ("hunter2", "s3cr3t", "t0ken"))  # fmt: skip


def test_secrets_have_no_flag() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert "EDGEPROXY_KEYS" in parser.format_help()
    assert "--keys " not in parser.format_help()
    assert "--admin-token" not in parser.format_help()


def test_a_limit_may_be_switched_off_where_it_says_so(tmp_path: Path) -> None:
    assert gather(tmp_path, "--limit-body-bytes", "0").limits.body_bytes == 0
    flags = [flag for name in ("cache", "plans", "variants") for flag in (f"--limit-{name}-bytes", "0")]
    limits = gather(tmp_path, *flags).limits
    assert (limits.cache_bytes, limits.plans_bytes, limits.variants_bytes) == (0, 0, 0)


def test_via_may_be_empty(tmp_path: Path) -> None:
    assert gather(tmp_path, "--via", "").via == ""


def test_what_a_verb_provides_need_not_be_set(tmp_path: Path) -> None:
    keys = Keys.parse(KEY)
    provided = {"origin": "http://127.0.0.1:1", "keys": keys, "rules": tmp_path, "preview": "open"}
    found = Settings.gather(argparse.Namespace(listen="127.0.0.1:0", admin="127.0.0.1:0"), {}, given=provided)
    assert isinstance(found, Settings)
    assert (found.origin, found.keys, found.preview) == ("http://127.0.0.1:1", keys, "open")


def test_help_and_the_readme_table_name_every_option_with_its_default() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    shown = " ".join(parser.format_help().split())
    table = markdown_table()
    for option in OPTIONS:
        assert f"`{option.variable}`" in table
        if not option.secret:
            assert f"{flag_of(option)} " in shown
            assert f"`{flag_of(option)}`" in table
        if option.default:
            assert f"(default: {option.default})" in shown


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:8080", "127.0.0.1", 8080), ("[::1]:0", "::1", 0), ("localhost:80", "localhost", 80)],
)
def test_an_address_reads_back_as_it_was_written(text: str, host: str, port: int) -> None:
    assert values.address(text) == Address(host, port)
    assert str(values.address(text)) == text


@pytest.mark.parametrize(
    "text", ["", "8080", ":8080", "host:", "::1:80", "[::1", "[nope]:1", "host:70000", "a b:1", "1.2.3:80"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Unfit):
        values.address(text)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://shop.internal", "http://shop.internal"),
        ("https://Shop.Internal:8443/", "https://shop.internal:8443"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("http://bücher.example", "http://xn--bcher-kva.example"),
    ],
)
def test_the_shops_address_is_written_one_way(text: str, origin: str) -> None:
    assert values.origin(text) == origin


@pytest.mark.parametrize(
    "text",
    ["shop", "http://", "http://a/b", "http://a?b", "http://a#b", "http://a:b", "http://u@h", "//shop", "http://a_/x"],
)
def test_what_is_no_shops_address_is_refused(text: str) -> None:
    with pytest.raises(Unfit):
        values.origin(text)  # fmt: skip


@pytest.mark.parametrize(
    ("host", "so"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, so: bool) -> None:
    assert values.is_loopback(host) is so  # fmt: skip


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("512", 512), ("32KB", 32768), ("2 MiB", 2097152), ("1g", 1073741824)]
)
def test_sizes_in_words(text: str, size: int) -> None:
    assert values.size(text) == size


@pytest.mark.parametrize(
    ("text", "length"), [("10", 10), ("2.5", 2.5), ("0.5s", 0.5), ("5 minutes", 300), ("7d", 604800)]
)
def test_durations_in_words(text: str, length: float) -> None:
    assert values.seconds(text) == length


@given(st.text(max_size=40), st.sampled_from(OPTIONS))
def test_no_text_makes_an_option_raise_anything_but_a_value_error_with_words(text: str, option: Option) -> None:
    said = "something"
    try:
        option.parse(text)
    except ValueError as problem:
        said = str(problem)
    assert said


def test_keys_may_come_from_a_file_a_key_on_each_line(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("\n tests-sign-with-this-older-key,\n\ntests-sign-with-this-newer-key\n", "utf-8")
    found = gather(tmp_path, "--keys-file", str(file), EDGEPROXY_KEYS="")
    assert found.keys == Keys.parse("tests-sign-with-this-older-key,tests-sign-with-this-newer-key")
    environ = {"EDGEPROXY_KEYS_FILE": str(file)}
    assert keys_text(environ) == "tests-sign-with-this-older-key,tests-sign-with-this-newer-key"
    assert keys_text({"EDGEPROXY_KEYS": KEY}) == KEY
    assert keys_text({}) == ""


@pytest.mark.parametrize("content", [b"", b"short", b"secret secret secret", b"\xff" * 20])
def test_a_file_of_bad_keys_is_told_by_its_name_and_never_shown(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content)
    (told,) = problems(tmp_path, "--keys-file", str(file), EDGEPROXY_KEYS="")
    assert told.startswith(f"{file}: ")
    assert "secret secret" not in told


@pytest.mark.parametrize("flag", ["--rules", "--drafts", "--origin-ca"])
def test_what_lies_where_we_may_not_go_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    kept = Path.stat

    def shut(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if self.parent == tmp_path / "home":
            raise PermissionError(13, "Permission denied")
        return kept(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", shut)
    (said,) = problems(tmp_path, flag, str(tmp_path / "home" / "it"))
    assert said.startswith(f"{flag}: {tmp_path}/home/it cannot be reached: Permission denied (")
