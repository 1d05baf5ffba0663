"""Clients of the two servers that the rest of Dotscience talks to, and where their credentials are kept.

`hub.HubClient` speaks the hub's HTTP API, `committer.CommitterClient` the local API of a workspace's committer. Both
are synchronous and raise `dotscience.errors` only. Importing this package is cheap; `requests` comes with the first
hub call.
"""
