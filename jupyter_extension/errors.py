"""What the extension's API answers when it cannot do what was asked.

::

    DotscienceError
      ApiError              has a `code`, a status and a hint; everything else is translated to one
        BadRequest          400: an argument is missing or is not what it should be
        NotTracked          404: the folder is not in a workspace
        NotBound            409: the workspace is bound to no hub
        TrackingFailed      409: `ds init` refused the folder
      CommitterRefused      the committer answered with a problem document
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from tornado import web

from dotscience.errors import CommitterUnavailable, DotscienceError
from dotscience.invocation import spelled


class ApiError(DotscienceError):
    """An error that the panel shows: what happened, and in `hint` what to do."""

    code = "error"
    status = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class BadRequest(ApiError):
    """An argument is missing or is not what it should be."""

    code = "bad-request"
    status = 400


class NotTracked(ApiError):
    """The folder is not in a workspace."""

    code = "not-tracked"
    status = 404


class NotBound(ApiError):
    """The workspace is bound to no hub."""

    code = "not-bound"
    status = 409


class TrackingFailed(ApiError):
    """`ds init` refused the folder or failed."""

    code = "tracking-failed"
    status = 409


class CommitterRefused(DotscienceError):
    """The committer answered `status` with a problem document."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        text = problem.get("detail") or problem.get("title") or f"the committer answered status {status}"
        super().__init__(str(text))
        self.status = status
        self.kind = str(problem.get("type") or "committer-refused").rsplit("/", 1)[-1]


def error_document(error: BaseException | None) -> tuple[int, dict[str, str]]:
    """The status and the `{code, message, hint}` for any error that can leave a handler.

    The text of errors that nobody expected stays in the server's log: it may hold paths and values.
    """
    match error:
        case ApiError():
            return error.status, _document(error.code, spelled(str(error)), spelled(error.hint))
        case CommitterRefused():
            return (error.status if error.status < 500 else 502), _document(error.kind, str(error), "")
        case CommitterUnavailable():
            hint = "Runs are kept in the folder and are picked up when the committer is back."
            return 503, _document("committer-unavailable", str(error), hint)
        case web.HTTPError():
            reason = error.reason or _phrase(error.status_code)
            return error.status_code, _document(reason.lower().replace(" ", "-"), error.log_message or reason, "")
        case _:
            hint = "The Jupyter server's log says why."
            return 500, _document("internal-error", "The Dotscience extension failed", hint)


def _document(code: str, message: str, hint: str) -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
