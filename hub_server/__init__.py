"""The hub: where runs and snapshots of many workspaces come together.

Glossary, beyond the one in `dotscience.record`: an *account* is a person; a *token* is a secret that programs show, a
*session* one that a browser keeps; a *scope* names what either may do; a *caller* is whoever sent a request; an
*operation* is one method on one path of the API; a *pack* is a file of objects as a committer uploads it.

Layers, each importing only those to its right: `app` → `web` → `services` → `store`, `content` → `domain`. `web` knows
HTTP and no SQL, `store` knows SQL and no HTTP, `services` know neither.
"""
