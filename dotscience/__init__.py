"""Dotscience: Git for executions."""

from dotscience.version import __version__

__all__ = ["__version__"]
