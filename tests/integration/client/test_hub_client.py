"""The hub's client against a real HTTP server that misbehaves in every way a network and a hub can."""

from __future__ import annotations

import io
from urllib.parse import parse_qs

import pytest
from support.http_server import Answer, serve

from dotscience.client.hub import HubClient, Records, Timeouts
from dotscience.client.problems import missing_objects
from dotscience.errors import (
    Conflict,
    Forbidden,
    HubFull,
    HubUnavailable,
    Invalid,
    NotFound,
    RateLimited,
    Unauthenticated,
)


class Answers:
    """What the fake hub says, request by request, and what it was asked."""

    def __init__(self):
        self.queue = []
        self.requests = []

    def say(self, status, body=b"", headers=()):
        self.queue.append(Answer(status, body, dict(headers)))

    def answer(self, request):
        self.requests.append(request)
        return self.queue.pop(0)


@pytest.fixture
def hub():
    answers = Answers()
    with (
        serve(answers.answer) as answers.url,
        HubClient(answers.url, "ds_1_secret", timeouts=Timeouts(connect_s=2, read_s=2)) as answers.client,
    ):
        yield answers


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, Invalid), (401, Unauthenticated), (403, Forbidden), (404, NotFound), (409, Conflict), (422, Invalid)],
)
def test_a_problem_document_becomes_its_exception(hub, status, error):
    hub.say(status, {"title": "no", "detail": "because", "status": status, "head": "abc"})
    with pytest.raises(error, match="because") as caught:
        hub.client.project("p")
    assert caught.value.problem["head"] == "abc"


def test_a_rate_limit_says_how_long_to_wait(hub):
    hub.say(429, {"title": "slow down"}, [("Retry-After", "7")])
    with pytest.raises(RateLimited) as caught:
        hub.client.project("p")
    assert caught.value.retry_after_s == 7


def test_what_a_hub_says_about_itself_is_repeated(hub):
    hub.say(503, {"type": "/problems/storage-full", "detail": "its disk is full"})
    with pytest.raises(HubFull, match="its disk is full"):
        hub.client.project("p")
    assert len(hub.requests) == 1, "to ask again at once makes no room"
    for _ in range(6):
        hub.say(503, {"type": "/problems/storage-unavailable", "detail": "its bucket does not answer"})
    with pytest.raises(HubUnavailable, match="its bucket does not answer"):
        hub.client.project("p")


def test_an_outage_is_retried_with_the_same_body(hub):
    hub.say(503)
    hub.say(200, {"commit": "c", "branch": "main", "runs": 2})
    accepted = hub.client.post_commit("d", "c", branch="main", expected_parent=None)
    assert accepted.runs == 2
    assert hub.requests[0][3] == hub.requests[1][3] == b'{"commit":"c","branch":"main","expected_parent":null}'


def test_a_pack_is_sent_again_from_its_start(hub):
    hub.say(502)
    hub.say(201)
    hub.client.put_pack("d", "ab" * 32, io.BytesIO(b"pack bytes"))
    assert [request[3] for request in hub.requests] == [b"pack bytes", b"pack bytes"]
    assert hub.requests[1][1] == f"/api/v1/dots/d/packs/{'ab' * 32}"


def test_no_server_is_hub_unavailable(hub):
    with HubClient("http://127.0.0.1:1", retries=0) as client, pytest.raises(HubUnavailable, match="is it running"):
        client.version()


@pytest.mark.parametrize("body", [b"<html>a proxy's login page</html>", b"", b"\xff"])
def test_an_answer_that_is_not_a_hubs_is_hub_unavailable(hub, body):
    hub.say(200, body)
    with pytest.raises(HubUnavailable, match="check the URL"):
        hub.client.version()


def test_a_redirect_is_not_followed_with_the_token(hub):
    hub.say(302, b"", [("Location", "http://127.0.0.1:1/steal")])
    with pytest.raises(Exception, match="302"):
        hub.client.version()


def test_the_bitmap_is_read_least_significant_bit_first(hub):
    hub.say(200, bytes([0b00000101, 0b00000010]), [("X-Dotscience-Gc-Epoch", "7")])
    have = hub.client.have("d", [bytes([i]) * 32 for i in range(10)])
    assert have.present == [True, False, True, False, False, False, False, False, False, True]
    assert have.gc_epoch == "7"
    assert hub.requests[0][3] == b"".join(bytes([i]) * 32 for i in range(10))


def test_a_bitmap_that_is_too_short_is_not_believed(hub):
    hub.say(200, b"")
    with pytest.raises(HubUnavailable):
        hub.client.have("d", [b"\0" * 32])


def test_damaged_objects_are_named_by_their_hashes(hub):
    hub.say(200, {"objects": ["ab" * 32]})
    assert hub.client.damaged("d") == [b"\xab" * 32]


@pytest.mark.parametrize("name", ["", "ab", "xy" * 32, "AB" * 32, "ab" * 32 + "\n", 7])
def test_what_is_no_hash_is_not_believed(hub, name):
    hub.say(200, {"objects": [name]})
    with pytest.raises(HubUnavailable, match="check the URL"):
        hub.client.damaged("d")
    hub.say(422, {"title": "missing", "missing": [name]})
    with pytest.raises(Invalid) as refused:
        hub.client.post_commit("d", "ab" * 32, branch="main", expected_parent=None)
    assert missing_objects(refused.value) == []


def test_objects_are_asked_for_by_hash(hub):
    hub.say(200, b"records", [("X-Dotscience-Answered", "1")])
    assert hub.client.objects("d", [b"a" * 32, b"b" * 32]) == Records(b"records", 1)
    assert hub.requests[0].line == "POST /api/v1/dots/d/objects"
    assert hub.requests[0].body == b"a" * 32 + b"b" * 32


@pytest.mark.parametrize("answered", ["", "-1", "many"])
def test_an_answer_that_does_not_say_how_far_it_goes_is_none(hub, answered):
    hub.say(200, b"records", [("X-Dotscience-Answered", answered)])
    with pytest.raises(HubUnavailable, match="how many"):
        hub.client.objects("d", [b"a" * 32])


def test_hostile_ids_cannot_leave_their_place_in_the_path(hub):
    hub.say(404, {"title": "not found"})
    with pytest.raises(NotFound):
        hub.client.project("../../admin?x=1#y")
    assert hub.requests[0][1] == "/api/v1/projects/..%2F..%2Fadmin%3Fx%3D1%23y"


def test_pages_are_followed_to_the_end(hub):
    hub.say(200, {"items": [{"id": "1"}, {"id": "2"}], "next": "c", "total": 3, "total_is_exact": True})
    hub.say(200, {"items": [{"id": "3"}], "next": None, "total": 3, "total_is_exact": True})
    assert [run["id"] for run in hub.client.runs("p")] == ["1", "2", "3"]
    first = "/api/v1/projects/p/runs?sort=started_at&order=desc"
    assert [request[1] for request in hub.requests] == [first, f"{first}&cursor=c"]


def test_a_filter_is_asked_for_as_it_is(hub):
    hub.say(200, {"items": [], "next": None})
    assert list(hub.client.runs("p", filter_string='param.a = "x & y"', sort="summary.b", order="asc")) == []
    _, _, asked = hub.requests[0][1].partition("?")
    assert parse_qs(asked) == {"sort": ["summary.b"], "order": ["asc"], "filter": ['param.a = "x & y"']}


def test_a_mistake_in_a_filter_says_where_it_is(hub):
    problem = {"type": "/problems/invalid-filter", "status": 400, "detail": "filter, at character 3: no", "position": 2}
    hub.say(400, problem)
    with pytest.raises(Invalid, match="at character 3") as caught:
        list(hub.client.runs("p", filter_string="a ?"))
    assert caught.value.problem["position"] == 2


def test_a_netrc_entry_does_not_replace_the_token(hub, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    hub.say(200, {"version": "1"})
    hub.client.version()
    assert hub.requests[0][2]["Authorization"] == "Bearer ds_1_secret"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"version": 1}', b'{"version": "\xff"}', b"null"])
def test_an_answer_of_something_else_is_no_hub(hub, body):
    hub.say(200, body)
    with pytest.raises(HubUnavailable, match="does not answer like a Dotscience hub"):
        hub.client.version()


@pytest.mark.parametrize("body", [b'{"items": 5}', b'{"items": [5]}', b'{"items": [{}]}', b'{"items": [], "next": {}}'])
def test_a_page_of_something_else_is_no_hub(hub, body):
    hub.say(200, body)
    with pytest.raises(HubUnavailable, match="does not answer like a Dotscience hub"):
        list(hub.client.projects())
