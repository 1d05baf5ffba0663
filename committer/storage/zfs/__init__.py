"""The `zfs` command, typed: what committers ask of a workspace's dataset, and hubs of the datasets that they receive.

Glossary: a *dataset* is a file system in a pool. A *version* of it is a snapshot or a bookmark; both have a *guid*,
which a copy keeps wherever it is received, whatever its name. A *hold* is a tag that keeps a snapshot from being
destroyed. A *stream* is what `zfs send` writes and `zfs receive` reads; a *token* says where a receive that broke off
goes on.

The command is the interface that ZFS keeps stable, and which a user without privileges can be allowed to use
(zfs-allow(8)). What a pool cannot do is found by asking it (`features`), never by its version.
"""
