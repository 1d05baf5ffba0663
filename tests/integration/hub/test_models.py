"""Models over the API."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from dotscience.record import FileRef, ModelArtefact


@pytest.fixture
def filled(project, new_run):
    """A project whose runs published "iris" twice, and a model with an odd name."""
    made = [ModelArtefact(name="iris", type="sklearn-model", version="1.5", files={"model": "iris.pkl"})]
    odd = [ModelArtefact(name="a/b?c=#%", type="custom-model")]
    first = project.push(new_run(models=made))
    second = project.push(new_run(models=[*made, *odd]))
    return project, first, second


def test_models_are_listed_with_their_versions_and_runs(filled):
    project, first, second = filled
    assert [(one["name"], one["versions"]) for one in project.get("/models")["items"]] == [("a/b?c=#%", 1), ("iris", 2)]
    newest, oldest = project.get("/models/iris/versions")["items"]
    assert (newest["number"], newest["run_id"], newest["commit"]) == (2, second.run_ids[0], second.commit)
    assert (oldest["number"], oldest["run_id"], oldest["commit"]) == (1, first.run_ids[0], first.commit)
    assert project.get("/models/iris/versions/1") == oldest
    assert oldest["files"] == {"model": "iris.pkl"}
    assert oldest["framework_version"] == "1.5"
    assert oldest["overwritten"] == []


def test_files_that_a_later_run_has_overwritten_are_said(project, new_run):
    paths = {"model": "net", "classes": "net.txt", "again": "net.txt", "other": "ne", "kept": "net/1!"}
    made = [ModelArtefact(name="net", type="custom-model", files=paths)]
    lost = [FileRef(path=path, overwritten=True) for path in ("net!", "net/weights/1.bin", "net.txt", "x")]
    project.push(new_run(models=made, outputs=[*lost, FileRef(path="ne"), FileRef(path="net/1!")]))
    whole = [ModelArtefact(name="all", type="custom-model", files={"model": "."})]
    project.push(new_run(models=[*made, *whole]), new_run(models=whole, outputs=lost))
    newest, oldest = project.get("/models/net/versions")["items"]
    assert (newest["overwritten"], oldest["overwritten"]) == ([], ["net", "net.txt"])
    assert project.get("/models/net/versions/1") == oldest
    assert [one["overwritten"] for one in project.get("/models/all/versions")["items"]] == [["."], []]


def test_a_name_is_a_part_of_the_path_whatever_it_holds(filled):
    project, *_ = filled
    assert project.get(f"/models/{quote('a/b?c=#%', safe='')}/versions")["total"] == 1


def test_versions_of_runs_in_the_trash_are_not_counted(filled):
    project, first, _ = filled
    run = f"{project.base}/runs/{first.run_ids[0]}"
    assert project.hub.request("DELETE", run, token=project.hub.admin).ok
    assert [(one["name"], one["versions"]) for one in project.get("/models")["items"]] == [("a/b?c=#%", 1), ("iris", 1)]


def test_pages_go_on_after_a_name_of_any_length(project, new_run):
    names = [letter * 3000 for letter in "abc"]
    project.push(new_run(models=[ModelArtefact(name=name, type="custom-model") for name in names]))
    seen, cursor = [], ""
    while cursor is not None:
        page = project.get(f"/models?limit=1{cursor and f'&cursor={cursor}'}")
        seen += [one["name"] for one in page["items"]]
        cursor = page["next"]
    assert seen == names


@pytest.mark.parametrize(
    "path",
    [
        "/models/nobody/versions",
        "/models/iris/versions/3",
        "/models/iris/versions/0",
        "/models/iris/versions/1e1",
        "/models/iris/versions/99999999999999999999",
        "/models/%00/versions",
        "/models/iris/versions/%F0%9F%90%8D",
    ],
)
def test_what_is_not_there_is_not_found(filled, path):
    project, *_ = filled
    answer = project.hub.request("GET", project.base + path, token=project.token)
    assert answer.status_code == 404


def test_models_of_others_cannot_be_seen(filled, hub):
    project, *_ = filled
    other = hub.new_project("other")
    for path in ("/models", "/models/iris/versions", "/models/iris/versions/1"):
        assert hub.request("GET", project.base + path, token=other.token).status_code == 404
        assert hub.request("GET", project.base + path).status_code == 401


def test_an_empty_project_has_none(project):
    assert project.get("/models") == {"items": [], "next": None, "total": 0, "total_is_exact": True}
