"""Runs workloads: on this machine for `ds run`, and later on machines attached to a hub."""
