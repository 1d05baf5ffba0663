"""Traces that begin with a file's content or a version of a model."""

from __future__ import annotations

from dotscience.record import FileRef, ModelArtefact


def content_of(project, commit, path):
    (entry,) = [one for one in project.get(f"/commits/{commit}/tree")["entries"] if one["name"] == path]
    return entry["content_hash"]


def ids(trace):
    return [one["id"] for one in trace["runs"]]


def test_a_file_leads_to_who_made_it_and_who_read_it(hub, project, new_run):
    first = project.push(new_run(), files={"f": b"features"})
    content = content_of(project, first.commit, "f")
    maker = new_run(
        outputs=[FileRef(path="f", content_hash=content)], inputs=[FileRef(path="r", content_hash="ab" * 32)]
    )
    readers = [new_run(inputs=[FileRef(path="g", content_hash=content)]) for _ in range(2)]
    project.push(maker, *readers)
    path = f"/commits/{first.commit}/trace?path=f"
    up = project.get(path)
    assert ids(up) == [maker.run_id]
    assert [one["path"] for one in up["unclaimed"]] == ["r"]
    assert set(ids(project.get(path + "&direction=downstream"))) == {one.run_id for one in readers}
    stranger = hub.new_project()
    stranger.push(new_run(inputs=[FileRef(path="g", content_hash=content)]))
    assert set(ids(project.get(path + "&direction=downstream"))) == {one.run_id for one in readers}, (
        "not seen from here"
    )


def test_a_file_that_no_run_touched_leads_nowhere(hub, project, new_run):
    pushed = project.push(new_run(), files={"f": b"by hand"})
    assert project.get(f"/commits/{pushed.commit}/trace?path=f")["runs"] == []
    answer = hub.request("GET", f"{project.base}/commits/{pushed.commit}/trace?path=no", token=project.token)
    assert answer.status_code == 404


def test_a_version_of_a_model_has_the_trace_of_its_run(hub, project, new_run):
    made = new_run(outputs=[FileRef(path="d", content_hash="cd" * 32)])
    record = new_run(
        inputs=[FileRef(path="d", content_hash="cd" * 32)], models=[ModelArtefact(name="iris", type="custom-model")]
    )
    project.push(made, record)
    found = project.get("/models/iris/versions/1/trace")
    assert ids(found) == [record.run_id, made.run_id]
    for odd in ("2", "x"):
        answer = hub.request("GET", f"{project.base}/models/iris/versions/{odd}/trace", token=project.token)
        assert answer.status_code == 404
