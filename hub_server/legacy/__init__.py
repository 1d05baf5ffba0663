"""The original hub's API, `/v2`, over this hub's projects and commits: what its Python client needs (docs/legacy.md).

Glossary: the original calls a dot's files a *volume*, and names it `namespace:name@branch`; here that is the
*workspace* of a project. A caller has all workspaces that they see in the namespace of their own name.
"""
