"""Requests made up from the API's own document: whatever is sent, what comes back is what the document says."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dotscience.record import ModelArtefact
from hub_server.web.operation import Media
from hub_server.web.operations import ALL

QUICKLY = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=[Phase.generate],
    database=None,
)
CHECKED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
MAX_QUERY_CHARS = 2_000
"""Beyond, the request line is larger than Tornado reads, and the connection is cut; that has tests of its own."""
LEFT_OUT = {"trash_project", "stream_events"}
"""What ends the others' project, and what does not end."""
FUZZED = [one for one in ALL if one.media is not Media.SOCKET and one.name not in LEFT_OUT]


@pytest.fixture(scope="module")
def unlimited(serve_hub, tmp_path_factory):
    with serve_hub(tmp_path_factory.mktemp("fuzzed"), requests_per_minute=0) as hub:
        yield hub


@pytest.fixture(scope="module")
def real(unlimited, new_record):
    """Things that exist, for the parameters of paths."""
    project = unlimited.new_project()
    pushed = project.push(new_record(models=[ModelArtefact(name="iris", type="custom-model")]), files={"a": b"text"})
    comments = f"{project.base}/runs/{pushed.run_ids[0]}/comments"
    return {
        "project": project.id,
        "dot": project.dot_id,
        "commit": pushed.commit,
        "run": pushed.run_ids[0],
        "model": "iris",
        "version": "1",
        "account": unlimited.new_person().name,
        "comment": str(unlimited.call("POST", comments, json={"text": "hello"})["id"]),
    }


@pytest.fixture(scope="module")
def document(unlimited):
    return schemathesis.openapi.from_url(f"{unlimited.url}/api/v1/openapi.json", headers=authorization(unlimited))


def authorization(hub):
    return {"Authorization": f"Bearer {hub.admin}"}


@pytest.mark.parametrize("operation", FUZZED, ids=lambda one: f"{one.method} {one.path}")
@pytest.mark.parametrize("about", ["anything", "what exists"])
def test_made_up_requests(unlimited, document, real, operation, about):
    described = document[operation.path][operation.method]
    # Now and then what is sent must make no sense, too.
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    cases = st.one_of(described.as_strategy(generation_mode=mode) for mode in modes)

    @QUICKLY
    @given(case=cases)
    def fuzz(case):
        assume(len(str(case.query)) < MAX_QUERY_CHARS)
        if about == "what exists":
            case.path_parameters = {name: real.get(name, value) for name, value in (case.path_parameters or {}).items()}
        case.call_and_validate(headers=authorization(unlimited), checks=CHECKED)

    fuzz()


def test_the_hub_is_well_afterwards(unlimited, real):
    assert unlimited.call("GET", f"/api/v1/projects/{real['project']}")["id"] == real["project"]
    assert unlimited.request("GET", "/readyz").ok
