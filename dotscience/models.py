"""What `ds.model` accepts: the framework of a model, told by its module, its name, or the model itself."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

SUFFIX = "-model"
PLAIN_FILE = "file"

FRAMEWORKS = frozenset(
    {"catboost", "flax", "h2o", "jax", "keras", "lightgbm", "onnx", "sklearn", "tensorflow", "torch", "transformers"}
    | {"xgboost"}
)
"""Top-level modules whose objects are models; a module or a name may be any other framework as well."""


class ModelKind(NamedTuple):
    """The type of a model artefact ("sklearn-model") and the version of its framework, where it is known."""

    type: str
    version: str | None


def model_kind(kind: Any) -> ModelKind:
    """The kind that is meant by a framework's module, by its name, or by a fitted model.

    Raises:
        RuntimeError: it is none of these.
    """
    if isinstance(kind, str) and kind:
        name = kind.removesuffix(SUFFIX)
        return ModelKind(name + SUFFIX, _version(sys.modules.get(name)))
    named = getattr(kind, "__name__", None)
    if isinstance(named, str):
        framework = named.partition(".")[0]
        return ModelKind(framework + SUFFIX, _version(kind) or _version(sys.modules.get(framework)))
    framework = type(kind).__module__.partition(".")[0]
    if framework not in FRAMEWORKS:
        raise RuntimeError(
            f"Unknown model type {named}: pass the framework's module or its name, "
            f"as in ds.model(sklearn, 'iris', 'iris.joblib'), not {type(kind).__qualname__}"
        )
    return ModelKind(framework + SUFFIX, _version(sys.modules.get(framework)))


def _version(module: Any) -> str | None:
    version = getattr(module, "__version__", None)
    return None if version is None else str(version)
