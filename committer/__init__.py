"""The committer: notices runs in a tracked folder, snapshots the folder, and pushes commits to a hub.

*Detection* finds runs (`committer.detect`), a *snapshot* is the folder's content as objects (`committer.storage`), a
*change source* says which files a snapshot has to read (`committer.workspace`), the *journal* is what has been
promised and what still has to reach the hub (`committer.sync`). Importing this package imports nothing else: the hub
uses `committer.storage`.
"""
