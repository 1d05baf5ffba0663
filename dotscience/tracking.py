"""The library's functions: what belongs to the current run, and which run is the current one.

Each thread has its own current run, and an asyncio task that starts one has its own as well; a task that starts none
adds to the run of whoever created it. A notebook's cells share one run, top-level `await` or not.

A run that ends in an exception is published with it: in a `with run()` block or a `track`ed function always; between
`start()` and `publish()` when the exception ends the script, the thread or the notebook's cell.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

from dotscience import crashes, paths, surroundings
from dotscience.recording import CAPTURE_MODES, CaptureMode, Mode, Run
from dotscience.warning import warn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from dotscience.publishing import PublishedRun
    from dotscience.remote_mode import RemoteProject

STDOUT = sys.stdout
"""The standard output when the library was imported: `%%capture` and `redirect_stdout` do not replace it."""

MAX_LEFT_RUNS = 64


class CurrentRun:
    """Which run is the current one: of the task, where the caller runs in one of the user's, else of the thread."""

    def __init__(self) -> None:
        self._of_task: ContextVar[Run | None] = ContextVar("dotscience_run", default=None)
        self._of_thread = threading.local()

    def get(self) -> Run | None:
        """The current run, if there is one.

        After `asyncio.run(main())` that is the run that `main` began and left to be published outside.
        """
        if crashes.in_users_task():
            return self._of_task.get()
        run: Run | None = getattr(self._of_thread, "run", None)
        if (run is None or not run.unfinished) and not crashes.in_task():
            return next((left for left in reversed(self._begun()) if left.unfinished), run)
        return run

    def set(self, run: Run | None) -> None:
        """Make `run` the current one, also for the tasks that are created from here on."""
        self._of_task.set(run)
        if not crashes.in_users_task():
            self._of_thread.run = run
        elif run is not None:
            self._begun().append(run)

    def _begun(self) -> deque[Run]:
        """The runs that tasks of this thread have begun, the last ones only: most are published soon."""
        if not hasattr(self._of_thread, "begun"):
            self._of_thread.begun = deque(maxlen=MAX_LEFT_RUNS)
        begun: deque[Run] = self._of_thread.begun
        return begun


class Dotscience:
    """All functions of the library as methods; the module's functions are those of one instance of it."""

    def __init__(self) -> None:
        self.current = CurrentRun()
        self._mode: Mode | None = None
        self._workload_file: str | None = None
        self._remote: RemoteProject | None = None
        self._told_of_start = False

    # -- modes

    def interactive(self) -> None:
        """Say that this is a notebook: its runs name no workload file, the notebook that holds them is known.

        Raises:
            RuntimeError: another mode has been chosen.
        """
        self._choose("interactive")
        self._workload_file = None

    def script(self, workload_file: Any = None) -> None:
        """Say that this is a script: its runs name it (`sys.argv[0]`, or `workload_file`).

        Raises:
            RuntimeError: another mode has been chosen.
        """
        self._choose("script")
        self._workload_file = paths.absolute(sys.argv[0] if workload_file is None else workload_file)

    def remote(self) -> None:
        """Say that this is code outside of any workspace of a hub; `connect` says so, too, and which hub.

        Raises:
            RuntimeError: another mode has been chosen.
        """
        self._choose("remote")

    def connect(self, username: Any, apikey: Any, project: Any, hostname: Any = "") -> None:
        """Publish runs from here on to a project of a hub, whichever mode was chosen before.

        The project is made when the first run is published, if it does not exist. A connection that fails changes
        nothing; one that succeeds keeps the current run.

        Args:
            username: the user's name on the hub.
            apikey: an API token of theirs.
            project: the project's name.
            hostname: the hub's address, like https://hub.example.com; by default `$DOTSCIENCE_URL`.

        Raises:
            ConfigError: the project or the hub's address is missing, or a value cannot be used.
            HubError: the hub refused the credentials, or does not answer.
        """
        from dotscience import remote_mode

        self._remote = remote_mode.connect(username, apikey, project, hostname)
        self._mode, self._workload_file = "remote", None
        if (run := self.current.get()) is not None:
            run.is_local = False
            run.take_series()

    def _choose(self, mode: Mode) -> None:
        if self._mode not in (None, mode):
            raise RuntimeError(
                f"An attempt was made to select {mode} mode for the Dotscience Python Library "
                f"when it was in {self._mode} mode"
            )
        self._mode = mode

    def _choose_from_environment(self) -> None:
        if self._mode is not None:
            return
        workload = surroundings.workload_type()
        if workload == "jupyter":
            self.interactive()
        elif workload == "command":
            self.script()

    # -- the life of a run

    def start(self, description: Any = None) -> None:
        """Begin a new run; what the run before it had and did not publish is forgotten."""
        self.begin(description)

    def begin(self, description: Any = None) -> Run:
        """`start`; returns the run."""
        run = Run()
        self._adopt(run)
        run.start()
        if description is not None:
            run.set_description(description)
        return run

    def end(self) -> None:
        """Note the time at which the run ended; only the first call counts. `publish` does it otherwise."""
        self._run().end()

    def publish(
        self,
        description: Any = None,
        stream: TextIO | None = STDOUT,
        build: bool = False,
        deploy: bool = False,
        *,
        capture: CaptureMode = "now",
    ) -> PublishedRun:
        """Record the run, and return it once the contents of its outputs are held.

        The run keeps everything but its times and its error, so the next `publish` without a `start` between records
        the same again and what was added. Each publish is a run of its own, with a new id.

        Args:
            description: replaces the run's description, if not None.
            stream: where to write the marker, instead of showing the run in the notebook or on the standard output.
            build: with a hub that the process is connected to, build the run's model; no hub offers that yet.
            deploy: build and deploy it.
            capture: "background" returns without holding the contents: an output that is written again before the next
                snapshot is then marked as overwritten.

        Raises:
            ValueError: `capture` is neither "now" nor "background".
            NotConnected: in remote mode without `connect`.
            NotOffered: `build` or `deploy` in remote mode; nothing was recorded.
            HubError: in remote mode, the hub refused the run or does not answer; the run can be published again.
        """
        run = self._run()
        if build or deploy:
            self._refuse_build(run)
        if description is not None:
            run.set_description(description)
        if capture not in CAPTURE_MODES:
            raise ValueError(f'capture must be "now" or "background", not {capture!r:.80}')
        return self.publish_run(run, None if stream is STDOUT else stream, capture)

    def publish_run(self, run: Run, stream: TextIO | None = None, capture: CaptureMode = "now") -> PublishedRun:
        """Publish `run`, be it the current one or not."""
        run.end()
        self._choose_from_environment()
        if self._mode == "remote":
            return self._publish_remotely(run)
        from dotscience import publishing

        return publishing.publish(run, self._mode, self._workload_file, stream, STDOUT, capture)

    def _publish_remotely(self, run: Run) -> PublishedRun:
        try:
            return self._connected().publish(run)
        except Exception as error:
            run.publish_error = error
            raise

    def _connected(self) -> RemoteProject:
        if self._remote is not None:
            return self._remote
        from dotscience.errors import NotConnected

        raise NotConnected(
            "in remote mode runs are published to a hub, and none is connected: "
            "call ds.connect(username, apikey, project, hostname) instead of ds.remote()"
        )

    def _refuse_build(self, run: Run) -> None:
        if self._mode != "remote":
            warn("build and deploy need a connection to a hub; the run is only recorded")
            return
        from dotscience.errors import NotOffered

        run.publish_error = NotOffered(
            "hubs of this version do not build or deploy models; nothing was published: "
            "call ds.publish() without build and deploy"
        )
        raise run.publish_error

    def run(self, description: Any = None) -> RunBlock:
        """A run for a `with` block: started when it is entered, published when it is left, also by an exception.

        Blocks can be nested; after a block the run before it is current again.
        """
        return RunBlock(self, description)

    def track(self, description: Any = None, *, parameters: bool = False) -> Any:
        """Decorate a function (or coroutine function) to make each call a run; with `parameters`, of its arguments.

        Used as `@ds.track`, `@ds.track("description")` or `@ds.track(parameters=True)`; the default description is the
        function's name.
        """
        from dotscience.decorator import tracked

        if callable(description):
            return tracked(self, description, None, parameters=parameters)

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            return tracked(self, function, description, parameters=parameters)

        return decorate

    def debug(self) -> None:
        """Print the wire-v1 view of the current run as it is now."""
        print(self._run().to_json())  # noqa: T201 - that is what it is for

    def _run(self) -> Run:
        """The current run, begun if there is none or it was published."""
        run = self.current.get()
        if run is None:
            self._say_that_a_run_begins()
            run = Run()
            self._adopt(run)
        run.lazy_start()
        return run

    def _say_that_a_run_begins(self) -> None:
        """Say so as the original does, once: the runs of later threads and tasks begin just so. No output, no words."""
        if not self._told_of_start:
            self._told_of_start = True
            with suppress(OSError, ValueError):
                print("You have not called ds.start() yet, so I'm doing it for you!")  # noqa: T201 - for people

    def _adopt(self, run: Run) -> None:
        crashes.watch(self)
        surroundings.hold_root()
        run.is_local = self._mode != "remote"
        self.current.set(run)

    def unfinished(self) -> Run | None:
        """The current run, if it was begun or added to since it was last published."""
        run = self.current.get()
        return run if run is not None and run.unfinished else None

    def publish_failed(self, run: Run, error: BaseException) -> PublishedRun:
        """Publish `run` as ended by an exception."""
        run.fail(error)
        return self.publish_run(run)

    # -- what happened

    def set_error(self, error: Any) -> None:
        """Say that the run failed, and why."""
        self._run().set_error(error)

    def error(self, error: Any) -> Any:
        """`set_error`; returns its argument."""
        return self._run().error(error)

    def set_description(self, description: Any) -> None:
        """Say what the run is."""
        self._run().set_description(description)

    def description(self, description: Any) -> Any:
        """`set_description`; returns its argument."""
        return self._run().description(description)

    # -- files

    def add_input(self, filename: Any) -> None:
        """Name a file that the run reads; of a folder, the files that are in it now."""
        self._run().add_input(filename)

    def add_inputs(self, *filenames: Any) -> None:
        """Name files that the run reads."""
        self._run().add_inputs(*filenames)

    def input(self, filename: Any) -> Any:
        """`add_input`; returns its argument, as in `open(ds.input("data.csv"))`."""
        return self._run().input(filename)

    def add_output(self, filename: Any) -> None:
        """Name a file that the run writes; of a folder, the files that are in it when the run is published."""
        self._run().add_output(filename)

    def add_outputs(self, *filenames: Any) -> None:
        """Name files that the run writes."""
        self._run().add_outputs(*filenames)

    def output(self, filename: Any) -> Any:
        """`add_output`; returns its argument, as in `open(ds.output("model.bin"), "wb")`."""
        return self._run().output(filename)

    # -- names and values

    def add_label(self, label: Any, value: Any) -> None:
        """Label the run."""
        self._run().add_label(label, value)

    def add_labels(self, /, *pairs: Any, **labels: Any) -> None:
        """Label the run: `add_labels("a", 1, "b", 2, c=3)`."""
        self._run().add_labels(*pairs, **labels)

    def label(self, label: Any, value: Any) -> Any:
        """`add_label`; returns the value."""
        return self._run().label(label, value)

    def add_parameter(self, label: Any, value: Any) -> None:
        """Record a parameter."""
        self._run().add_parameter(label, value)

    def add_parameters(self, /, *pairs: Any, **parameters: Any) -> None:
        """Record parameters: `add_parameters("a", 1, "b", 2, c=3)`."""
        self._run().add_parameters(*pairs, **parameters)

    def parameter(self, label: Any, value: Any) -> Any:
        """`add_parameter`; returns the value, as in `epochs = ds.parameter("epochs", 5)`."""
        return self._run().parameter(label, value)

    param = parameter

    def add_metric(self, label: Any, value: Any, step: Any = None) -> None:
        """Record a value of a metric: the last one is the final one; with `step` each is a point of a curve, too."""
        self._run().add_metric(label, value, step)

    def add_metrics(self, /, *pairs: Any, **metrics: Any) -> None:
        """Record metrics: `add_metrics("a", 1, "b", 2, c=3)`."""
        self._run().add_metrics(*pairs, **metrics)

    def metric(self, label: Any, value: Any, step: Any = None) -> Any:
        """`add_metric`; returns the value, as in `ds.metric("loss", loss, step=epoch)`."""
        return self._run().metric(label, value, step)

    add_summary = add_metric
    add_summaries = add_metrics
    summary = metric

    def model(self, kind: Any, name: Any, *args: Any, **kwargs: Any) -> Any:
        """Record a model: `ds.model(sklearn, "iris", "iris.joblib")`; returns its path. See `Run.model`."""
        return self._run().model(kind, name, *args, **kwargs)

    def add_model(self, kind: Any, name: Any, *args: Any, **kwargs: Any) -> None:
        """`model`, without its return value."""
        self._run().add_model(kind, name, *args, **kwargs)


class RunBlock:
    """The context manager that `Dotscience.run` returns; `with` gives the run. It can be entered once at a time."""

    def __init__(self, tracker: Dotscience, description: Any) -> None:
        self._tracker = tracker
        self._description = description
        self._before: Run | None = None
        self._run: Run | None = None
        self.published: PublishedRun | None = None

    def __enter__(self) -> Run:
        self._before = self._tracker.current.get()
        self._run = self._tracker.begin(self._description)
        return self._run

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        run, self._run = self._run, None
        if run is None:
            raise RuntimeError("a run block was left that had not been entered")
        try:
            if error is not None and not crashes.is_success(error):
                self._publish_failed(run, error)
            elif run.unfinished:
                self.published = self._tracker.publish_run(run)
        finally:
            self._tracker.current.set(self._before)

    def _publish_failed(self, run: Run, error: BaseException) -> None:
        """Publish the run with the exception that leaves the block; no other must take its place."""
        from dotscience.errors import DotscienceError

        if run.publish_error is error:
            return
        try:
            self.published = self._tracker.publish_failed(run, error)
        except DotscienceError as refusal:
            warn(f"the failed run could not be published: {refusal}")
