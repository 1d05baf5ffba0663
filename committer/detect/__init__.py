"""Noticing: which files of a workspace changed, and which runs they carry.

A *change* is a path that was reported by the watcher; a *sighting* is a run that was found in a sidecar or notebook.
Nothing here decides whose a run is or when it is committed; see `committer.notice` and `committer.service`.
"""
