"""The version, readable without asking the packaging metadata."""

__version__ = "1.0.0"
