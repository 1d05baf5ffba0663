"""One run while it is being recorded."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from dotscience import paths
from dotscience.file_signature import signature_of
from dotscience.models import PLAIN_FILE, model_kind
from dotscience.values import clean_text, typed
from dotscience.warning import warn

if TYPE_CHECKING:
    from dotscience.file_signature import FileSignature
    from dotscience.record import RunRecord
    from dotscience.series import Series

Mode = Literal["interactive", "script", "remote"]
CaptureMode = Literal["now", "background"]
CAPTURE_MODES = get_args(CaptureMode)


_NOTHING = object()


class NamedModel(NamedTuple):
    """A model that the run named; its files are absolute paths by role."""

    type: str
    version: str | None
    files: dict[str, str]


class Run:
    """What a run has recorded so far. Not tied to a thread; concurrent calls are as safe as those of a dict.

    `inputs` are absolute paths with what the files were when they were named, None for what was no file then.

    `root` is the workspace that paths are relative to; by default the one that the process is in when the run is
    published. `unfinished` says that it was started or added to since it was last published, `touched` that it was
    added to. `publish_error` is why it could not be published, which says nothing about the run itself. `series` is
    where points of metrics go, None before the first; only an `is_local` run has a committer to read them.
    """

    def __init__(self, root: Any = None) -> None:
        self.root = None if root is None else paths.absolute(root)
        self.run_id: str | None = None
        self.failure: str | None = None
        self.traceback: str | None = None
        self.text: str | None = None
        self.started_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.inputs: dict[str, FileSignature | None] = {}
        self.outputs: dict[str, None] = {}
        self.labels: dict[str, Any] = {}
        self.parameters: dict[str, Any] = {}
        self.metrics: dict[str, Any] = {}
        self.models: dict[str, NamedModel] = {}
        self.unfinished = False
        self.touched = False
        self.publish_error: BaseException | None = None
        self.series: Series | None = None
        self.is_local = True
        self.pid = os.getpid()
        self._start_called = False
        self._published: dict[str, Any] = {}

    def __repr__(self) -> str:
        """Short: notebooks show the value of a cell's last line."""
        return f"<dotscience.Run {self.run_id or 'not published'}>"

    def __str__(self) -> str:
        """The marker in the form that the original library printed it."""
        return f"[[DOTSCIENCE-RUN:{self.run_id}]]{self.to_json()}[[/DOTSCIENCE-RUN:{self.run_id}]]"

    def to_json(self) -> str:
        """The wire-v1 view of the run as it is now."""
        import json

        from dotscience.wire import to_wire

        return json.dumps(to_wire(self.to_record()), sort_keys=True, indent=4)

    def to_record(self) -> RunRecord:
        """The run as it is now; see `publishing.build_record`."""
        from dotscience.publishing import build_record

        return build_record(self)

    # -- times

    def start(self) -> None:
        """Note the time at which the run starts.

        Raises:
            RuntimeError: it has been called before.
        """
        if self._start_called:
            raise RuntimeError("Run.start() has been called more than once")
        self._start_called = True
        self.started_at = datetime.now(UTC)
        self.unfinished = True

    def lazy_start(self) -> None:
        """Note the time of the first call after a publish, and that there is something to publish."""
        self.unfinished = self.touched = True
        if self.started_at is None:
            self.started_at = datetime.now(UTC)

    def end(self) -> None:
        """Note the time at which the run ended; only the first call counts."""
        if self.ended_at is None:
            self.ended_at = datetime.now(UTC)

    def forget_publish(self) -> None:
        """Begin the next run with all that this one had, except for its times and its failure."""
        self.started_at = self.ended_at = self.failure = self.traceback = None
        self.unfinished = self.touched = False
        self.publish_error = None
        self._published = self._recorded()

    def recorded_since_publish(self) -> list[str]:
        """The names of what was recorded or changed since the run was last published, like `parameters.lr`."""
        return [name for name, value in self._recorded().items() if self._published.get(name, _NOTHING) != value]

    def _recorded(self) -> dict[str, Any]:
        values = {"parameters": self.parameters, "metrics": self.metrics, "labels": self.labels, "models": self.models}
        named = {f"{kind}.{name}": value for kind, items in values.items() for name, value in items.items()}
        return named | dict.fromkeys((*self.inputs, *self.outputs))

    # -- what happened

    def set_error(self, error: Any) -> None:
        """Say that the run failed, and why."""
        self.failure = clean_text(str(error))

    def error(self, error: Any) -> Any:
        """`set_error`; returns its argument."""
        self.set_error(error)
        return error

    def fail(self, error: BaseException) -> None:
        """Say that the run ended in this exception; an error that was set before stays."""
        import traceback

        lines = traceback.format_exception(error)
        self.traceback = clean_text("".join(lines))
        if self.failure is None:
            self.set_error(traceback.format_exception_only(error)[-1].strip())
        self.unfinished = True

    def set_description(self, description: Any) -> None:
        """Say what the run is."""
        self.text = clean_text(str(description))

    def description(self, description: Any) -> Any:
        """`set_description`; returns its argument."""
        self.set_description(description)
        return description

    # -- files

    def add_input(self, filename: Any) -> None:
        """Name a file that the run reads; of a folder, the files that are in it now."""
        path = paths.absolute(filename)
        if not os.path.lexists(path):
            warn(f"the input {str(filename)!r} does not exist; the run will say so")
        self.inputs.update({file: signature_of(file) for file in paths.files_below(path)})

    def add_inputs(self, *filenames: Any) -> None:
        """Name files that the run reads."""
        for filename in filenames:
            self.add_input(filename)

    def input(self, filename: Any) -> Any:
        """`add_input`; returns its argument."""
        self.add_input(filename)
        return filename

    def add_output(self, filename: Any) -> None:
        """Name a file that the run writes; of a folder, the files that are in it when the run is published."""
        self.outputs[paths.absolute(filename)] = None

    def add_outputs(self, *filenames: Any) -> None:
        """Name files that the run writes."""
        for filename in filenames:
            self.add_output(filename)

    def output(self, filename: Any) -> Any:
        """`add_output`; returns its argument."""
        self.add_output(filename)
        return filename

    def relocate(self, former: str, now: str) -> None:
        """Follow a folder that was renamed: what was named in it is in it still."""
        self.inputs = {paths.relocated(path, former, now): known for path, known in self.inputs.items()}
        self.outputs = {paths.relocated(path, former, now): known for path, known in self.outputs.items()}
        for name, model in self.models.items():
            files = {role: paths.relocated(path, former, now) for role, path in model.files.items()}
            self.models[name] = model._replace(files=files)

    # -- names and values

    def add_label(self, label: Any, value: Any) -> None:
        """Label the run."""
        self.labels[clean_text(str(label))] = typed(value)

    def add_labels(self, /, *pairs: Any, **labels: Any) -> None:
        """Label the run: keywords first, then alternating names and values."""
        _add_all(self.labels, pairs, labels)

    def label(self, label: Any, value: Any) -> Any:
        """`add_label`; returns the value."""
        self.add_label(label, value)
        return value

    def add_parameter(self, label: Any, value: Any) -> None:
        """Record a parameter."""
        self.parameters[clean_text(str(label))] = typed(value)

    def add_parameters(self, /, *pairs: Any, **parameters: Any) -> None:
        """Record parameters: keywords first, then alternating names and values."""
        _add_all(self.parameters, pairs, parameters)

    def parameter(self, label: Any, value: Any) -> Any:
        """`add_parameter`; returns the value."""
        self.add_parameter(label, value)
        return value

    param = parameter

    def add_metric(self, label: Any, value: Any, step: Any = None) -> None:
        """Record a value of a metric: the last one is the final one; with `step` each is a point of a curve, too.

        Raises:
            TypeError: `step` is no whole number.
            ValueError: it is not within 2**53 of 0.
        """
        name = clean_text(str(label))
        self.metrics[name] = typed(value)
        if step is not None:
            series = self.series
            if series is None or not series.usable:
                series = self._begin_series()
            series.add(name, step, value)

    def add_metrics(self, /, *pairs: Any, **metrics: Any) -> None:
        """Record metrics: keywords first, then alternating names and values."""
        _add_all(self.metrics, pairs, metrics)

    def metric(self, label: Any, value: Any, step: Any = None) -> Any:
        """`add_metric`; returns the value."""
        self.add_metric(label, value, step)
        return value

    def take_series(self) -> Series | None:
        """The series of what is about to be published, if this process has one; what follows begins another."""
        series, self.series = self.series, None
        return series if series is not None and series.usable else None

    def _begin_series(self) -> Series:
        from dotscience import series

        return series.begin(self)

    add_summary = add_metric
    add_summaries = add_metrics
    summary = metric

    # -- models

    def model(self, module: Any, name: Any, *args: Any, classes: Any = None, **kwargs: Any) -> Any:
        """Record a model that the run wrote, and return its path.

        `model(kind, name, filepath)`, where `kind` is a framework's module, its name, or the fitted model; or
        `model(name, filepath)` for a file of no framework. The path, and that of the `classes` file (a JSON object from
        class number to name), become outputs.

        Raises:
            RuntimeError: `kind` is none of these.
            TypeError: there is no path.
        """
        module, name, filepath, *rest = _model_arguments(module, name, args)
        kind = model_kind(module)
        files = {"model": filepath} if classes is None else {"model": filepath, "classes": classes}
        if rest or kwargs:
            ignored = ", ".join([*map(repr, rest), *kwargs])
            warn(f"ds.model does not know these arguments and ignores them: {ignored}")
        self.add_outputs(*files.values())
        absolute = {role: paths.absolute(path) for role, path in files.items()}
        self.models[clean_text(str(name))] = NamedModel(kind.type, kind.version, absolute)
        return filepath

    def add_model(self, module: Any, name: Any, *args: Any, **kwargs: Any) -> None:
        """`model`, without its return value."""
        self.model(module, name, *args, **kwargs)


def _model_arguments(module: Any, name: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    if args:
        return (module, name, *args)
    if isinstance(module, str):
        return (PLAIN_FILE, module, name)
    raise TypeError("model() needs the path of the model's file or folder: model(kind, name, filepath)")


def _add_all(values: dict[str, Any], pairs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    for name, value in keywords.items():
        values[clean_text(name)] = typed(value)
    for index in range(0, len(pairs), 2):
        name, value = pairs[index : index + 2]
        values[clean_text(str(name))] = typed(value)
