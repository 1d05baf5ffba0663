"""The content-addressed store that workspaces, datasets and the hub share; `docs/design/store-format.md` has the bytes.

Glossary: an *object* is bytes named by their BLAKE3 hash; its *kind* says how its bytes are read. A *record* is an
object in a pack, compressed or not. A *pack* is an immutable file of records with an index of them at its end. A
*tree* is one directory. A *chunk* is a piece of a file, cut where the content says so. The *index* says which pack
holds an object.

The hub imports `objects`, `tree`, `chunks`, `pack`, `reader` and `diff`; only a committer needs `store`, `ignore`,
`chunking` and `snapshot`. Importing this package imports none of them.
"""
