"""Values, names, cursors, scopes, settings: rules without I/O."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotscience.errors import ConfigError
from hub_server.domain.cursor import decode_cursor, encode_cursor
from hub_server.domain.names import MAX_NAME_CHARS, check_branch, clean_name, number_name
from hub_server.domain.problems import PROBLEM_TYPES, Problem
from hub_server.domain.scopes import BEYOND_PROJECTS, SCOPES, Caller, effective_scopes
from hub_server.domain.values import MAX_INDEXED_CHARS, IndexedValue, index_value
from hub_server.services.attempts import AttemptLimit
from hub_server.settings import load_settings
from hub_server.web.files import parse_range
from hub_server.web.security import host_name

KEY = b"k" * 32


@pytest.mark.parametrize(
    ("value", "num", "txt"),
    [
        (0.1, 0.1, None),
        (3, 3.0, None),
        ("0.1", 0.1, "0.1"),
        (" 1e-3 ", 0.001, " 1e-3 "),
        (".5", 0.5, ".5"),
        ("1_000", None, "1_000"),
        ("٣", None, "٣"),
        ("0x10", None, "0x10"),
        ("adam", None, "adam"),
        ("", None, ""),
        (True, 1.0, "true"),
        (False, 0.0, "false"),
        ("nan", None, "nan"),
        ("NaN", None, "nan"),
        ("-Infinity", None, "-inf"),
        (math.nan, None, "nan"),
        (10**400, None, "inf"),
        (-(10**400), None, "-inf"),
        ("1e999", None, "1e999"),
        ("x" * 1000, None, "x" * MAX_INDEXED_CHARS),
    ],
)
def test_values_are_typed_for_the_index(value, num, txt):
    assert index_value(value) == IndexedValue(num, txt)


@pytest.mark.parametrize("value", [None, [], [1], {}, {"a": 1}])
def test_what_has_no_order_is_not_indexed(value):
    assert index_value(value) is None


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()))
def test_indexed_numbers_are_always_finite(value):
    indexed = index_value(value)
    assert indexed is None or indexed.num is None or math.isfinite(indexed.num)


@given(
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.text(), st.floats(allow_nan=False)), max_size=4)
)
def test_a_cursor_comes_back_as_it_was(position):
    assert decode_cursor(KEY, "list", encode_cursor(KEY, "list", position)) == position


@given(st.text(max_size=80))
def test_no_text_is_a_cursor(text):
    with pytest.raises(Problem):
        decode_cursor(KEY, "list", text)


def test_a_cursor_is_bound_to_its_list_and_hub():
    cursor = encode_cursor(KEY, "runs:a:desc", [1])
    for key, context in ((KEY, "runs:b:desc"), (b"x" * 32, "runs:a:desc")):
        with pytest.raises(Problem):
            decode_cursor(key, context, cursor)


def test_names_are_cleaned_and_numbered():
    assert clean_name("  e\u0301t\u00e9 ") == "\u00e9t\u00e9"
    assert number_name("a", {"a", "a-2"}) == "a-3"
    assert len(number_name("a" * MAX_NAME_CHARS, {"a" * MAX_NAME_CHARS})) == MAX_NAME_CHARS


@pytest.mark.parametrize("branch", ["main", "main~fork-box-1", "feature/x", "v1.0"])
def test_branches_that_are_fine(branch):
    assert check_branch(branch) == branch


def test_a_token_of_one_project_sees_that_one_only():
    caller = Caller(account_id="a", account_name="a", scopes=frozenset({"runs:read"}), project_id="p")
    assert caller.sees("p")
    assert not caller.sees("q")
    assert caller.may("runs:read")
    assert not caller.may("admin")


def test_scopes_are_cut_to_the_role():
    assert effective_scopes(frozenset(SCOPES), "admin") == set(SCOPES)
    assert effective_scopes(frozenset(SCOPES), "no such role") == frozenset()
    assert effective_scopes(frozenset(SCOPES), "admin", project_id="p") == set(SCOPES) - BEYOND_PROJECTS


def test_attempts_are_forgotten_with_time_and_counted_per_client():
    now = [0.0]
    limit = AttemptLimit(2, 60.0, lambda: now[0])
    for _ in range(2):
        limit.check("a")
        limit.failed("a")
    with pytest.raises(Problem) as refused:
        limit.check("a")
    assert refused.value.headers["Retry-After"] == "60"
    limit.check("b")
    now[0] = 60.5
    limit.check("a")


@pytest.mark.parametrize(
    ("header", "name"),
    [("Localhost:80", "localhost"), ("[::1]:8800", "::1"), ("a.b", "a.b"), ("", ""), ("[::1", ""), ("a@b", "b")],
)
def test_host_names(header, name):
    assert host_name(header) == name


@given(st.text(max_size=40), st.integers(0, 10_000))
def test_a_range_is_inside_of_the_file(header, size):
    try:
        found = parse_range(header, size)
    except Problem as error:
        refused = error.kind
        found = None
    else:
        refused = "range-not-satisfiable"
    assert refused == "range-not-satisfiable"
    assert found is None or 0 <= found[0] < found[1] <= size


def test_settings_come_from_variables_and_flags(tmp_path):
    settings = load_settings({"DS_HUB_PORT": "1", "DS_HUB_HOST": "::1", "OTHER": "x"}, data=tmp_path, port=2)
    assert (settings.port, settings.host, settings.data) == (2, "::1", tmp_path)


def test_an_empty_variable_is_one_that_is_not_set():
    default = load_settings({})
    assert load_settings({"DS_HUB_HOST": "", "DS_HUB_PORT": "", "DS_HUB_PUBLIC_URL": ""}) == default


def test_how_the_hub_is_reached(tmp_path):
    given = {"DS_HUB_PUBLIC_URL": "https://a.example/b/c/", "DS_HUB_TRUSTED_PROXIES": "10.0.0.0/8, ::1,"}
    settings = load_settings(given, tls_cert="a.pem", tls_key=str(tmp_path / "a.key"))
    assert settings.public_url == "https://a.example/b/c"
    assert [str(one) for one in settings.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert (settings.tls_cert, settings.tls_key) == (Path.cwd() / "a.pem", tmp_path / "a.key")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"DS_HUB_PROT": "1"}, "DS_HUB_PORT"),
        ({"DS_HUB_PORT": "x"}, "'x'"),
        ({"DS_HUB_PORT": "70000"}, "70000"),
        ({"DS_HUB_UPKEEP_EVERY_H": "daily"}, "'daily'"),
        ({"DS_HUB_KEEP_UNUSED_H": "-1"}, "DS_HUB_KEEP_UNUSED_H"),
        ({"DS_HUB_KEEP_UNUSED_H": "nan"}, "'nan'"),
        ({"DS_HUB_PUBLIC_URL": "hub.example.org"}, "https://hub.example.org"),
        ({"DS_HUB_PUBLIC_URL": "https://a/b?c"}, "https://a/b"),
        ({"DS_HUB_PUBLIC_URL": 'https://a/"><script>'}, "https://example.org/dotscience"),
        ({"DS_HUB_PUBLIC_URL": "https://a/b;c"}, "https://example.org/dotscience"),
        ({"DS_HUB_PUBLIC_URL": "https://a//b"}, "https://example.org/dotscience"),
        ({"DS_HUB_PUBLIC_URL": "https://me:secret@a"}, "https://example.org/dotscience"),
        ({"DS_HUB_TRUSTED_PROXIES": "10.0.0.0/8,proxy"}, "'proxy'"),
        ({"DS_HUB_TRUSTED_PROXIES": "10.0.0.1/8"}, "has host bits set"),
        ({"DS_HUB_TLS_KEY": "hub.key"}, "--tls-cert FILE"),
    ],
)
def test_wrong_settings_are_named(environment, said):
    with pytest.raises(ConfigError, match=r"DS_HUB|port|URL") as refused:
        load_settings(environment)
    assert said in str(refused.value)


def test_problem_types_have_statuses_and_meanings():
    assert all(400 <= one.status < 600 and one.title and one.meaning for one in PROBLEM_TYPES.values())
