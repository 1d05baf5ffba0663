"""The hub's words and rules as plain data and pure functions; no I/O."""
