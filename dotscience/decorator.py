"""Making each call of a function a run: what `ds.track` does."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dotscience.tracking import Dotscience


def tracked(
    tracker: Dotscience, function: Callable[..., Any], description: Any, *, parameters: bool
) -> Callable[..., Any]:
    """`function`, each call of which is a run of `tracker`; coroutine functions stay coroutine functions.

    Raises:
        TypeError: `function` is a generator function, whose call returns before it runs.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__qualname__} is a generator function; use `with ds.run():` inside of it")
    text = function.__name__ if description is None else description
    signature = inspect.signature(function) if parameters else None

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            with tracker.run(text) as run:
                run.add_parameters(**_arguments(signature, args, kwargs))
                return await function(*args, **kwargs)

        return call_async

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with tracker.run(text) as run:
            run.add_parameters(**_arguments(signature, args, kwargs))
            return function(*args, **kwargs)

    return call


def _arguments(signature: inspect.Signature | None, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments by name, defaults included; `self` and `cls` left out, and `**kwargs` by their own names."""
    if signature is None:
        return {}
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:  # the call itself will say what is wrong with them
        return {}
    bound.apply_defaults()
    found: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            found |= value
        elif name not in ("self", "cls"):
            found[name] = value
    return found
