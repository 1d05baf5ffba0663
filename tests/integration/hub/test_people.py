"""Accounts, passwords, sessions, collaborators, and what is noted of all that."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

PASSWORD = "correct horse battery"


def sign_in(hub, name, password):
    return hub.request("POST", "/api/v1/sessions", json={"name": name, "password": password})


def choose(hub, person, password, current=None):
    body = {"password": password, "current": current}
    return hub.request("PUT", "/api/v1/password", cookies=person.cookies, json=body)


# ---------------------------------------------------------------------------------- passwords


def test_a_login_link_leads_to_a_password_that_signs_in(hub, person):
    assert sign_in(hub, person.name, PASSWORD).status_code == 401
    assert choose(hub, person, PASSWORD).status_code == 204
    answer = sign_in(hub, person.name, PASSWORD)
    assert answer.status_code == 201
    session = hub.request("GET", "/api/v1/session", cookies=dict(answer.cookies)).json()
    assert (session["account"]["name"], session["is_admin"]) == (person.name, False)


def test_the_session_tells_how_its_account_gets_in(own_hub):
    person = own_hub.new_person()

    def told(**options):
        session = own_hub.request("GET", "/api/v1/session", **options).json()
        return session["has_password"], session["by_login_link"], session["is_operator"]

    assert told(cookies=person.cookies) == (False, True, False)
    choose(own_hub, person, PASSWORD)
    assert told(cookies=person.cookies) == (True, True, False)
    assert told(cookies=dict(sign_in(own_hub, person.name, PASSWORD).cookies)) == (True, False, False)
    assert told(token=person.token, cookies=person.cookies) == (True, False, False), "a token was no link"
    assert told(token=own_hub.admin) == (False, False, True)


def test_another_administrator_is_no_operator_nor_is_one_who_was(own_hub):
    other = own_hub.new_person("admin")
    assert not own_hub.call("GET", "/api/v1/session", token=other.token)["is_operator"]
    own_hub.call("PATCH", "/api/v1/accounts/owner", json={"role": "member"})
    assert not own_hub.call("GET", "/api/v1/session", token=own_hub.admin)["is_operator"]


def test_a_wrong_name_and_a_wrong_password_look_alike(hub, person):
    choose(hub, person, PASSWORD)
    wrong = sign_in(hub, person.name, "something else")
    absent = sign_in(hub, "nobody-at-all", "something else")
    for answer in (wrong, absent):
        assert answer.status_code == 401
    assert wrong.json()["detail"] == absent.json()["detail"]


def test_a_new_password_needs_the_present_one_and_signs_others_out(own_hub):
    person = own_hub.new_person()
    choose(own_hub, person, PASSWORD)
    by_password = own_hub.request("POST", "/api/v1/sessions", json={"name": person.name, "password": PASSWORD})
    person.cookies.clear()
    person.cookies |= dict(by_password.cookies)
    other = sign_in(own_hub, person.name, PASSWORD)
    for current in (None, "not this one"):
        answer = choose(own_hub, person, "another password", current)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/current")
    assert choose(own_hub, person, "another password", PASSWORD).status_code == 204
    assert own_hub.request("GET", "/api/v1/session", cookies=dict(other.cookies)).status_code == 401
    assert own_hub.request("GET", "/api/v1/session", cookies=person.cookies).ok
    assert sign_in(own_hub, person.name, PASSWORD).status_code == 401
    assert own_hub.request("GET", "/api/v1/session", token=person.token).ok, "tokens stay"


@pytest.mark.parametrize("password", ["", "short", "x" * 1001, "NAME"])
def test_a_bad_password_is_not_taken_and_not_repeated(hub, person, password):
    if password == "NAME":
        password = person.name.upper()
    answer = choose(hub, person, password)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/password")
    assert not password or password not in answer.text


@pytest.mark.parametrize("password", ["\ud800 and nine more", "пароль из слов", "a\0b and nine more", " " * 10])
def test_any_characters_make_a_password(hub, person, password):
    assert choose(hub, person, password).status_code in (204, 400)
    if "\ud800" not in password:  # which no JSON text can hold
        assert sign_in(hub, person.name, password).status_code == 201


def test_a_password_is_chosen_in_a_browser(hub, person):
    answer = hub.request("PUT", "/api/v1/password", token=person.token, json={"password": PASSWORD})
    assert answer.status_code == 403


def test_guesses_are_counted_even_many_at_once(own_hub):
    person = own_hub.new_person()
    choose(own_hub, person, PASSWORD)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: sign_in(own_hub, person.name, "a guess").status_code, range(20)))
    assert sorted(answers) == [401] * 10 + [429] * 10
    assert sign_in(own_hub, person.name, PASSWORD).status_code == 429
    entries = own_hub.call("GET", "/api/v1/audit?limit=50")["items"]
    told = [(one["count"], one["target"]) for one in entries if one["action"] == "sign_in" and one["status"] == 429]
    assert told == [(11, person.name)]
    own_hub.clock.advance(seconds=61)
    for _ in range(15):
        assert sign_in(own_hub, person.name, PASSWORD).status_code == 201


@pytest.mark.parametrize("body", [{}, {"name": "a"}, {"code": "x", "name": "a", "password": "b"}, {"password": "b"}])
def test_half_a_sign_in_says_what_is_missing(hub, body):
    answer = hub.request("POST", "/api/v1/sessions", json=body)
    assert answer.status_code == 422
    assert "name` and `password" in answer.json()["detail"]


# ---------------------------------------------------------------------------------- accounts


@pytest.mark.parametrize("name", ["", "Alice", "a b", "a/b", "<script>", "x" * 65, "é", "-a", "a\0"])
def test_odd_names_are_refused(hub, name):
    answer = hub.request("POST", "/api/v1/accounts", token=hub.admin, json={"name": name})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/name")


def test_a_name_is_taken_once(hub, person):
    answer = hub.request("POST", "/api/v1/accounts", token=hub.admin, json={"name": person.name})
    assert answer.status_code == 422
    assert person.name in answer.json()["detail"]


def test_a_disabled_account_is_out_at_once_and_back_again(hub, person):
    choose(hub, person, PASSWORD)
    hub.call("PATCH", f"/api/v1/accounts/{person.name}", json={"role": "disabled"})
    assert hub.request("GET", "/api/v1/session", token=person.token).status_code == 401
    assert hub.request("GET", "/api/v1/session", cookies=person.cookies).status_code == 401
    assert sign_in(hub, person.name, PASSWORD).status_code == 401
    assert (
        hub.request("POST", f"/api/v1/accounts/{person.name}/login-codes", token=hub.admin, json={}).status_code == 422
    )
    hub.call("PATCH", f"/api/v1/accounts/{person.name}", json={"role": "member"})
    assert hub.request("GET", "/api/v1/session", token=person.token).ok
    assert hub.request("GET", "/api/v1/session", cookies=person.cookies).status_code == 401, "signed out for good"


def test_a_link_of_a_disabled_account_does_not_work(hub, person):
    code = hub.call("POST", f"/api/v1/accounts/{person.name}/login-codes", json={})["code"]
    hub.call("PATCH", f"/api/v1/accounts/{person.name}", json={"role": "disabled"})
    assert hub.request("POST", "/api/v1/sessions", json={"code": code}).status_code == 401


def test_the_last_administrator_stays_one(own_hub):
    answer = own_hub.request("PATCH", "/api/v1/accounts/owner", token=own_hub.admin, json={"role": "member"})
    assert answer.status_code == 422
    own_hub.new_person("admin")
    own_hub.call("PATCH", "/api/v1/accounts/owner", json={"role": "member"})
    assert own_hub.request("GET", "/api/v1/accounts", token=own_hub.admin).status_code == 403, (
        "its token is demoted too"
    )


def test_accounts_are_listed_by_name_page_by_page(own_hub):
    made = sorted(own_hub.new_person().name for _ in range(3))
    first = own_hub.call("GET", "/api/v1/accounts?limit=3")
    rest = own_hub.call("GET", f"/api/v1/accounts?limit=3&cursor={first['next']}")
    names = [one["name"] for one in first["items"] + rest["items"]]
    assert names == sorted([*made, "owner"])
    assert own_hub.call("GET", f"/api/v1/account-names?start={made[0][:6]}") == [made[0]]
    assert own_hub.call("GET", "/api/v1/account-names?start=%25") == [], "no wildcard"


def test_browsers_are_listed_and_signed_out_one_by_one(hub, person):
    choose(hub, person, PASSWORD)
    other = dict(sign_in(hub, person.name, PASSWORD).cookies)
    listed = hub.request("GET", "/api/v1/sessions", cookies=person.cookies).json()
    (foreign,) = [one for one in listed if not one["is_current"]]
    assert len(listed) == 2
    answer = hub.request("DELETE", f"/api/v1/sessions/{foreign['id']}", cookies=hub.new_person().cookies)
    assert answer.status_code == 404, "not those of others"
    assert hub.request("DELETE", f"/api/v1/sessions/{foreign['id']}", cookies=person.cookies).status_code == 204
    assert hub.request("GET", "/api/v1/session", cookies=other).status_code == 401


# ---------------------------------------------------------------------------------- projects


def test_a_member_sees_what_it_works_on_and_what_is_public(hub, person):
    mine, foreign = hub.new_project(owner=person.token), hub.new_project()

    def seen():
        return {one["id"]: one["role"] for one in hub.call("GET", "/api/v1/projects", token=person.token)["items"]}

    assert seen() == {mine.id: "owner"}
    hub.call("PATCH", foreign.base, json={"is_public": True})
    assert seen() == {mine.id: "owner", foreign.id: None}
    hub.call("PUT", f"{foreign.base}/collaborators/{person.name}", json={"role": "viewer"})
    assert seen() == {mine.id: "owner", foreign.id: "viewer"}
    hub.call("PATCH", foreign.base, json={"is_public": False})
    assert hub.request("DELETE", f"{foreign.base}/membership", token=person.token).status_code == 204
    assert seen() == {mine.id: "owner"}


def test_the_token_of_somebody_who_left_does_nothing_any_more(hub, person):
    project = hub.new_project()
    hub.call("PUT", f"{project.base}/collaborators/{person.name}", json={"role": "editor"})
    wanted = {"name": "t", "scopes": ["runs:read"], "project_id": project.id}
    token = hub.call("POST", "/api/v1/tokens", token=person.token, json=wanted)["token"]
    assert hub.request("GET", project.base + "/runs", token=token).ok
    assert hub.request("DELETE", f"{project.base}/collaborators/{person.name}", token=hub.admin).status_code == 204
    assert hub.request("GET", project.base + "/runs", token=token).status_code == 404


def test_a_project_always_has_an_owner(hub, person):
    project = hub.new_project(owner=person.token)
    path = f"{project.base}/collaborators/{person.name}"
    for method, body in (("PUT", {"role": "viewer"}), ("DELETE", None)):
        answer = hub.request(method, path, token=hub.admin, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/role")
    other = hub.new_person()
    hub.call("PUT", f"{project.base}/collaborators/{other.name}", token=person.token, json={"role": "owner"})
    assert hub.request("DELETE", path, token=other.token).status_code == 204
    assert hub.request("GET", project.base, token=person.token).status_code == 404


def test_a_workspace_of_somebody_elses_project_is_told_apart_from_a_new_one(hub, person):
    theirs = hub.new_project()
    wanted = {"name": "mine", "dot_id": theirs.dot_id}
    answer = hub.request("POST", "/api/v1/projects", token=person.token, json=wanted)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/dot_id")
    assert theirs.id not in answer.text


def test_names_of_projects_are_changed_but_not_taken(hub, person):
    one, other = hub.new_project("one", owner=person.token), hub.new_project("other", owner=person.token)
    name = hub.call("GET", other.base, token=person.token)["name"]
    assert hub.request("PATCH", one.base, token=person.token, json={"name": name}).status_code == 422
    assert hub.call("PATCH", one.base, token=person.token, json={"name": "  new name "})["name"] == "new name"


def test_a_project_in_the_trash_is_gone_until_it_is_restored(hub, person, new_run):
    project = hub.new_project(owner=person.token)
    pushed = project.push(new_run())
    assert hub.request("DELETE", project.base, token=person.token).status_code == 204
    for token in (person.token, project.token, hub.admin):
        assert hub.request("GET", project.base + "/runs", token=token).status_code == 404
    assert project.have(b"\0" * 32).status_code == 404
    listed = hub.call("GET", "/api/v1/projects?trash=true", token=person.token)
    assert [one["id"] for one in listed["items"]] == [project.id]
    assert hub.call("GET", "/api/v1/projects?trash=true", token=hub.new_person().token)["items"] == []
    stranger = hub.request(
        "POST", "/api/v1/trash/restore", token=hub.new_person().token, json={"project_id": project.id}
    )
    assert stranger.status_code == 404
    hub.call("POST", "/api/v1/trash/restore", token=person.token, json={"project_id": project.id})
    runs = hub.call("GET", project.base + "/runs", token=person.token)
    assert [one["id"] for one in runs["items"]] == pushed.run_ids


# ---------------------------------------------------------------------------------- what is noted


def test_what_changes_something_is_noted_and_what_reads_is_not(own_hub):
    person = own_hub.new_person()
    project = own_hub.new_project(owner=person.token)
    own_hub.call("GET", project.base, token=person.token)
    own_hub.call("PUT", f"{project.base}/collaborators/owner", token=person.token, json={"role": "viewer"})
    own_hub.request("PUT", f"{project.base}/collaborators/nobody", token=person.token, json={"role": "viewer"})
    sign_in(own_hub, person.name, "a guess")
    entries = own_hub.call("GET", "/api/v1/audit")["items"]
    told = [(one["action"], one["account"], one["target"], one["status"]) for one in entries]
    assert told[:3] == [
        ("sign_in", "", person.name, 401),
        ("put_collaborator", person.name, "nobody viewer", 404),
        ("put_collaborator", person.name, "owner viewer", 200),
    ]
    assert ("create_account", "owner", f"{person.name} member", 201) in told
    assert ("sign_in", person.name, "by login link", 201) in told
    assert not any("guess" in str(one) for one in entries)
    assert {one["client"] for one in entries} == {"127.0.0.1"}
    (_, refused, *_) = entries
    assert refused["account_id"] == own_hub.call("GET", "/api/v1/session", token=person.token)["account"]["id"]
    assert refused["project_name"] == own_hub.call("GET", project.base, token=person.token)["name"]
    assert (entries[0]["account_id"], entries[0]["project_name"]) == (None, None)
    own = own_hub.call("GET", project.base + "/audit", token=person.token)["items"]
    assert {one["action"] for one in own} == {"put_collaborator", "create_token", "create_project"}


def test_what_is_made_for_a_project_is_noted_there_with_what_it_can_do(own_hub):
    person = own_hub.new_person()
    project = own_hub.new_project(owner=person.token)
    wanted = {"name": "reader", "scopes": ["runs:read"], "project_id": project.id}
    key = {"Idempotency-Key": "once"}
    made = own_hub.call("POST", "/api/v1/tokens", token=person.token, json=wanted, headers=key)
    own_hub.request("DELETE", project.base, token=person.token)
    own_hub.call("POST", "/api/v1/trash/restore", token=person.token, json={"project_id": project.id})
    own = own_hub.call("GET", project.base + "/audit", token=person.token)["items"]
    told = [(one["action"], one["target"]) for one in own]
    assert told[:3] == [
        ("restore_project", project.id),
        ("trash_project", ""),
        ("create_token", f"reader {made['id']} runs:read"),
    ]
    assert made["token"] not in str(own)


def test_projects_that_older_clients_make_are_noted(own_hub):
    legacy = {"jsonrpc": "2.0", "method": "DotmeshRPC.Create", "id": 1}
    made = legacy | {"params": {"Namespace": "owner", "Name": "made"}}
    sent = [("rpc", made), ("rpc", made), ("projects", {"name": "another"}), ("rpc", legacy | {"method": "x"})]
    for what, body in sent:
        path = "/v2/projects" if what == "projects" else "/v2/dotmesh/rpc"
        assert own_hub.request("POST", path, json=body, auth=("owner", own_hub.admin)).ok
    told = [(one["action"], one["target"]) for one in own_hub.call("GET", "/api/v1/audit")["items"][:3]]
    assert told[0] == ("create_project", "another")
    assert [action for action, _ in told[1:]] == ["call_dotmesh"] * 2
    assert "refused" in told[1][1]
    assert "refused" not in told[2][1]


def test_a_token_that_may_not_make_projects_leaves_none(own_hub):
    person, viewer = own_hub.new_person(), own_hub.new_person()
    project = own_hub.new_project(owner=person.token)
    own_hub.call("PUT", f"{project.base}/collaborators/{viewer.name}", token=person.token, json={"role": "viewer"})
    wanted = {"name": "reader", "scopes": ["projects:read", "runs:read"]}
    reader = own_hub.call("POST", "/api/v1/tokens", token=viewer.token, json=wanted)["token"]
    assert own_hub.request("DELETE", f"{project.base}/membership", token=reader).status_code == 403
    assert own_hub.request("GET", project.base, token=reader).ok
    assert own_hub.request("DELETE", f"{project.base}/membership", token=viewer.token).status_code == 204


@pytest.mark.parametrize("then", ["link", "password", "disabled"])
def test_a_login_link_ends_with_the_next_one_a_password_and_the_account(own_hub, then):
    person = own_hub.new_person()
    made = own_hub.call("POST", f"/api/v1/accounts/{person.name}/login-codes", json={})
    if then == "link":
        own_hub.call("POST", f"/api/v1/accounts/{person.name}/login-codes", json={})
    elif then == "password":
        wanted = {"password": "a long enough password"}
        assert own_hub.request("PUT", "/api/v1/password", cookies=person.cookies, json=wanted).ok
    else:
        for role in ("disabled", "member"):
            own_hub.call("PATCH", f"/api/v1/accounts/{person.name}", json={"role": role})
    assert own_hub.request("POST", "/api/v1/sessions", json={"code": made["code"]}).status_code == 401


def test_hostile_names_are_harmless_in_the_log(own_hub):
    sign_in(own_hub, "a\x1b[31m\nname", "x" * 20)
    (entry, *_) = own_hub.call("GET", "/api/v1/audit")["items"]
    assert entry["target"].isprintable()


# ---------------------------------------------------------------------------------- limits and repeats


def test_one_caller_cannot_keep_the_hub_busy(serve_hub, tmp_path):
    with serve_hub(tmp_path / "hub", requests_per_minute=60) as hub:
        codes = [hub.request("GET", "/api/v1/session", token=hub.admin).status_code for _ in range(40)]
        assert codes[:10] == [200] * 10
        assert 429 in codes
        answer = hub.request("GET", "/api/v1/session", token=hub.admin)
        if answer.status_code == 429:  # a second may have passed
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert hub.request("GET", "/healthz").ok, "others are not kept waiting"


def test_refused_callers_are_counted_by_their_address(serve_hub, tmp_path):
    """Whoever shows another wrong token each time is one caller all the same."""
    with serve_hub(tmp_path / "hub", requests_per_minute=60) as hub:
        codes = [hub.request("GET", "/api/v1/session", token=f"ds_{number}_x").status_code for number in range(40)]
        assert codes[:10] == [401] * 10
        assert 429 in codes
        assert hub.request("GET", "/api/v1/session", token=hub.admin).ok, (
            "callers that are known have counts of their own"
        )


def test_a_push_counts_less_than_other_requests(serve_hub, tmp_path):
    with serve_hub(tmp_path / "hub", requests_per_minute=60) as hub:
        project = hub.new_project()
        asked = [project.have(b"?" * 32).status_code for _ in range(60)]
        assert asked == [200] * 60
        read = [hub.request("GET", project.base, token=project.token).status_code for _ in range(40)]
        assert 429 in read


def test_a_repeated_request_is_done_once(hub):
    def post(key, name):
        headers = {"Idempotency-Key": key}
        return hub.request("POST", "/api/v1/projects", token=hub.admin, headers=headers, json={"name": name})

    first, again = post("k1", "repeated"), post("k1", "repeated")
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert post("k2", "repeated").json()["id"] != first.json()["id"]
    other = post("k1", "something else")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/key-reused")
    for key in ("", "x" * 256):
        assert post(key, "x").status_code == 400


def test_a_key_belongs_to_its_account(hub, person):
    headers, body = {"Idempotency-Key": "shared"}, {"name": "p"}
    mine = hub.request("POST", "/api/v1/projects", token=person.token, headers=headers, json=body).json()
    theirs = hub.request("POST", "/api/v1/projects", token=hub.admin, headers=headers, json=body).json()
    assert mine["id"] != theirs["id"]


def test_a_secret_is_not_kept_for_repeats(own_hub):
    headers, body = {"Idempotency-Key": "k"}, {"name": "t", "scopes": ["runs:read"]}
    made = own_hub.request("POST", "/api/v1/tokens", token=own_hub.admin, headers=headers, json=body).json()
    again = own_hub.request("POST", "/api/v1/tokens", token=own_hub.admin, headers=headers, json=body)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/answer-unknown")
    secret = made["token"].split("_", 2)[2].encode()
    assert not any(secret in path.read_bytes() for path in own_hub.data.rglob("hub.db*"))


def test_a_request_that_failed_may_be_repeated(hub):
    headers = {"Idempotency-Key": "failing"}
    for _ in range(2):
        answer = hub.request("POST", "/api/v1/projects", token=hub.admin, headers=headers, json={"name": ""})
        assert answer.status_code == 422
    assert hub.request("POST", "/api/v1/projects", token=hub.admin, headers=headers, json={"name": "good"}).ok


def test_a_key_is_forgotten_in_its_time(own_hub):
    headers = {"Idempotency-Key": "k"}
    first = own_hub.request("POST", "/api/v1/projects", token=own_hub.admin, headers=headers, json={"name": "p"}).json()
    own_hub.clock.advance(hours=50)  # a day, and the day by which a clock may be wrong
    again = own_hub.request("POST", "/api/v1/projects", token=own_hub.admin, headers=headers, json={"name": "p"}).json()
    assert again["id"] != first["id"]
