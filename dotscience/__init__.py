"""Dotscience: Git for executions.

Call these functions from a notebook or script; each `publish` is a *run*, tied to a snapshot of the whole workspace::

    import dotscience as ds

    ds.start("train a small net")
    epochs = ds.parameter("epochs", 5)
    table = read(ds.input("data.csv"))
    ...
    ds.metric("loss", loss)
    ds.publish()

`docs/library.md` describes every function.
"""

from dotscience.frames import get_runs
from dotscience.recording import Run
from dotscience.tracking import Dotscience
from dotscience.version import __version__
from dotscience.warning import DotscienceWarning

_default = Dotscience()

interactive = _default.interactive
script = _default.script
remote = _default.remote
connect = _default.connect

start = _default.start
end = _default.end
publish = _default.publish
run = _default.run
track = _default.track
debug = _default.debug

set_error = _default.set_error
error = _default.error
set_description = _default.set_description
description = _default.description

add_input = _default.add_input
add_inputs = _default.add_inputs
input = _default.input  # noqa: A001 - the original's name
add_output = _default.add_output
add_outputs = _default.add_outputs
output = _default.output

add_label = _default.add_label
add_labels = _default.add_labels
label = _default.label
add_parameter = _default.add_parameter
add_parameters = _default.add_parameters
parameter = _default.parameter
param = _default.param
add_metric = _default.add_metric
add_metrics = _default.add_metrics
metric = _default.metric
add_summary = _default.add_summary
add_summaries = _default.add_summaries
summary = _default.summary

model = _default.model
add_model = _default.add_model

__all__ = [
    "Dotscience",
    "DotscienceWarning",
    "Run",
    "__version__",
    "add_input",
    "add_inputs",
    "add_label",
    "add_labels",
    "add_metric",
    "add_metrics",
    "add_model",
    "add_output",
    "add_outputs",
    "add_parameter",
    "add_parameters",
    "add_summaries",
    "add_summary",
    "connect",
    "debug",
    "description",
    "end",
    "error",
    "get_runs",
    "input",
    "interactive",
    "label",
    "metric",
    "model",
    "output",
    "param",
    "parameter",
    "publish",
    "remote",
    "run",
    "script",
    "set_description",
    "set_error",
    "start",
    "summary",
    "track",
]
