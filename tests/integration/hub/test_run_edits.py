"""What people say about runs, and the trash; on real runs that were pushed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from dotscience.record import FileRef, ModelArtefact


@pytest.fixture
def run(project, new_run):
    inputs = [FileRef(path="data.csv", content_hash="ab" * 32)]
    record = new_run(parameters={"lr": 0.1}, summary={"acc": 0.9}, labels={"stage": "dev"}, inputs=inputs)
    return project.base + "/runs/" + project.push(record).run_ids[0]


def tag_of(hub, run):
    return hub.request("GET", run, token=hub.admin).headers["ETag"]


def change(hub, run, etag=None, **body):
    headers = {"If-Match": etag or tag_of(hub, run)}
    return hub.request("PATCH", run, token=hub.admin, headers=headers, json=body)


def listed(hub, project, **query):
    found = hub.request("GET", project.base + "/runs", token=hub.admin, params=query).json()
    return [one["id"] for one in found["items"]]


def test_a_run_is_named_described_and_tagged(hub, project, run):
    changed = change(hub, run, name=" best so far ", notes="why\r\nnot", tags=["best", "x", "best"]).json()
    assert (changed["name"], changed["notes"], changed["tags"]) == ("best so far", "why\nnot", ["best", "x"])
    again = hub.call("GET", run)
    assert (again["name"], again["version"], again["tags"]) == ("best so far", 1, ["best", "x"])
    (shown,) = hub.call("GET", project.base + "/runs")["items"]
    assert (shown["name"], shown["tags"]) == ("best so far", ["best", "x"])
    change(hub, run, notes="")
    assert hub.call("GET", run)["name"] == "best so far", "what is left out stays"


def test_tags_narrow_the_list_and_stop_doing_so(hub, project, run, new_run):
    project.push(new_run())
    run_id = run.rpartition("/")[2]
    change(hub, run, tags=["best", 'odd "one"'])
    assert listed(hub, project, filter='tag = "best"') == [run_id]
    assert listed(hub, project, filter="tag in ('odd \"one\"', 'other') and param.lr > 0") == [run_id]
    assert listed(hub, project, filter='tag != "best"') != [run_id]
    assert len(listed(hub, project, filter='tag != "best"')) == 1
    assert hub.call("GET", project.base + "/columns")["tags"] == ["best", 'odd "one"']
    change(hub, run, tags=["other"])
    assert listed(hub, project, filter='tag = "best"') == []
    assert hub.call("GET", project.base + "/columns")["tags"] == ["other"]


@pytest.mark.parametrize(
    ("filter_", "said"), [('tag ~ "b"', "= or != or in"), ("tag exists", "name the tag"), ("tag = 1", "text in quotes")]
)
def test_what_tags_cannot_be_asked(hub, project, filter_, said):
    answer = hub.request("GET", project.base + "/runs", token=hub.admin, params={"filter": filter_})
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_nobody_overwrites_what_somebody_else_has_just_said(hub, run):
    etag = tag_of(hub, run)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: change(hub, run, etag, name=f"name {number}").status_code, range(8)))
    assert sorted(answers) == [200] + [412] * 7
    assert hub.request("PATCH", run, token=hub.admin, json={"name": "n"}).status_code == 428
    for odd in ("*", "nonsense", 'W/"v1.0.0.0"', '"v1'):
        assert change(hub, run, odd, name="n").status_code == 412


def test_an_unchanged_run_is_not_sent_again(hub, run):
    etag = tag_of(hub, run)
    same = hub.request("GET", run, token=hub.admin, headers={"If-None-Match": etag})
    assert (same.status_code, same.content) == (304, b"")
    hub.call("POST", run + "/comments", json={"text": "well"})
    assert hub.request("GET", run, token=hub.admin, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "x" * 201}, "/name"),
        ({"name": "a\u202eb"}, "/name"),
        ({"notes": "\x1b[31m"}, "/notes"),
        ({"tags": [""]}, "/tags"),
        ({"tags": ["x" * 65]}, "/tags"),
        ({"tags": [str(number) for number in range(51)]}, "/tags"),
    ],
)
def test_what_cannot_be_said(hub, run, body, pointer):
    answer = change(hub, run, **body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_a_run_in_the_trash_is_in_no_list_and_comes_back_as_it_was(hub, project, new_run):
    made = project.push(new_run(outputs=[FileRef(path="m", content_hash="cd" * 32)], parameters={"lr": 1})).run_ids[0]
    record = new_run(
        parameters={"lr": 2},
        inputs=[FileRef(path="m", content_hash="cd" * 32)],
        models=[ModelArtefact(name="iris", type="custom-model")],
    )
    run_id = project.push(record).run_ids[0]
    run = f"{project.base}/runs/{run_id}"
    change(hub, run, tags=["best"], name="mine")
    before = hub.call("GET", run)
    everything = [
        *("", "?sort=param.lr", "?sort=label.none", "?filter=param.lr exists", '?filter=tag="best" or param.lr=1'),
        '?filter=status="success"',
    ]
    pages = [hub.call("GET", project.base + "/runs" + query) for query in everything]

    for _ in range(2):
        assert hub.request("DELETE", run, token=hub.admin).status_code == 204
    for query in everything:
        page = hub.call("GET", project.base + "/runs" + query)
        assert ([one["id"] for one in page["items"]], page["total"]) == ([made], 1), query
    assert hub.call("GET", project.base)["runs"] == 1
    assert hub.call("GET", f"{project.base}/runs/{made}/trace?direction=downstream")["edges"] == []
    assert hub.call("GET", f"{project.base}/models/iris/versions")["items"] == []
    assert hub.request("GET", f"{project.base}/models/iris/versions/1", token=hub.admin).status_code == 404
    assert hub.call("GET", run)["deleted_at"] is not None
    (shown,) = hub.call("GET", project.base + "/trash")["items"]
    assert shown["id"] == run_id
    change(hub, run, tags=["best", "new"])
    assert hub.call("GET", project.base + "/columns")["tags"] == []

    for _ in range(2):
        restored = hub.call("POST", run + "/restore", json={})
    assert restored["tags"] == ["best", "new"]
    change(hub, run, tags=["best"])
    after = hub.call("GET", run)
    assert {**after, "version": 1} == before
    for query, page in zip(everything, pages, strict=True):
        again = hub.call("GET", project.base + "/runs" + query)
        assert [one["id"] for one in again["items"]] == [one["id"] for one in page["items"]], query
    assert len(hub.call("GET", f"{project.base}/runs/{made}/trace?direction=downstream")["edges"]) == 1
    assert len(hub.call("GET", f"{project.base}/models/iris/versions")["items"]) == 1
    assert hub.call("GET", project.base + "/trash")["items"] == []


def test_a_run_that_is_pushed_again_stays_in_the_trash(hub, project, new_run):
    record = new_run(parameters={"lr": 1})
    run = f"{project.base}/runs/{project.push(record).run_ids[0]}"
    hub.request("DELETE", run, token=hub.admin)
    project.push(record, message="again")
    assert hub.call("GET", project.base + "/runs")["items"] == []


def test_the_trash_has_pages(hub, project, new_run):
    made = project.push(*(new_run() for _ in range(5))).run_ids
    for run_id in made:
        hub.request("DELETE", f"{project.base}/runs/{run_id}", token=hub.admin)
    found, cursor = [], ""
    while cursor is not None:
        page = hub.call("GET", f"{project.base}/trash?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        found += [one["id"] for one in page["items"]]
        cursor = page["next"]
    assert sorted(found) == sorted(made)
    assert page["total"] == 5


def test_comments_are_written_changed_and_removed(hub, run):
    author, other = hub.new_person(), hub.new_person()
    project = run.partition("/runs/")[0]
    for person in (author, other):
        hub.call("PUT", f"{project}/collaborators/{person.name}", json={"role": "viewer"})
    comments = run + "/comments"
    made = hub.call("POST", comments, token=author.token, json={"text": " <b>well</b> done\n"})
    assert (made["author"], made["text"], made["edited_at"]) == (author.name, "<b>well</b> done", None)
    mine = f"{comments}/{made['id']}"
    assert hub.request("PATCH", mine, token=other.token, json={"text": "no"}).status_code == 403
    assert hub.request("DELETE", mine, token=other.token).status_code == 403
    assert hub.request("PATCH", mine, token=hub.admin, json={"text": "no"}).status_code == 403, (
        "nobody speaks for others"
    )
    changed = hub.call("PATCH", mine, token=author.token, json={"text": "very well done"})
    assert changed["edited_at"] is not None
    hub.call("POST", comments, token=other.token, json={"text": "thanks"})
    assert [one["text"] for one in hub.call("GET", comments)["items"]] == ["very well done", "thanks"]
    assert hub.call("GET", run)["comments"] == 2
    assert hub.request("DELETE", mine, token=hub.admin).status_code == 204
    assert hub.request("DELETE", mine, token=hub.admin).status_code == 404
    for odd in ("", " ", "\0", "x" * 10_001):
        assert hub.request("POST", comments, token=author.token, json={"text": odd}).status_code == 422
    for odd in ("0", "x", "9" * 30, "-1", "%20"):
        assert hub.request("DELETE", f"{comments}/{odd}", token=author.token).status_code == 404


def test_a_comment_is_found_under_its_run_alone(hub, project, run, new_run):
    other = f"{project.base}/runs/{project.push(new_run()).run_ids[0]}"
    made = hub.call("POST", run + "/comments", json={"text": "here"})
    assert hub.request("DELETE", f"{other}/comments/{made['id']}", token=hub.admin).status_code == 404
    assert hub.call("GET", other + "/comments")["items"] == []


def test_runs_are_compared_with_what_differs_first(hub, project, new_run):
    one = new_run(parameters={"a": 1, "lr": 0.1, "flag": True}, inputs=[FileRef(path="d", content_hash="ab" * 32)])
    two = new_run(parameters={"a": 1, "lr": 0.2, "flag": 1}, inputs=[FileRef(path="d", content_hash="cd" * 32)])
    three = new_run(parameters={"a": 1, "lr": None})
    ids = project.push(one, two, three).run_ids
    found = hub.call("GET", f"{project.base}/compare?runs={','.join(ids)}")
    assert [one["id"] for one in found["runs"]] == ids
    assert [(one["name"], one["values"], one["differs"]) for one in found["parameters"]] == [
        ("flag", [True, 1, None], True),
        ("lr", [0.1, 0.2, None], True),
        ("a", [1, 1, 1], False),
    ]
    (file,) = found["files"]
    assert (file["direction"], file["content_hashes"]) == ("input", ["ab" * 32, "cd" * 32, None])


def test_what_was_overwritten_is_not_said_to_be_the_same(hub, project, new_run):
    lost = FileRef(path="model", overwritten=True)
    ids = project.push(new_run(outputs=[lost]), new_run(outputs=[lost])).run_ids
    (file,) = hub.call("GET", f"{project.base}/compare?runs={','.join(ids)}")["files"]
    assert (file["content_hashes"], file["differs"]) == ([None, None], True)


@pytest.mark.parametrize("runs", ["one", "one,one", ",".join(map(str, range(51)))])
def test_a_comparison_is_of_a_few_runs(hub, project, runs):
    answer = hub.request("GET", f"{project.base}/compare?runs={runs}", token=hub.admin)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "runs")


def test_runs_of_another_project_are_not_compared(hub, project, run, new_run):
    foreign = hub.new_project().push(new_run()).run_ids[0]
    answer = hub.request("GET", f"{project.base}/compare?runs={run.rpartition('/')[2]},{foreign}", token=hub.admin)
    assert answer.status_code == 404
