"""What the hub does, one module per subject; callers are authenticated, HTTP and SQL are elsewhere.

Services run on the event loop. What blocks (disk, hashing, decoding what a client sent) runs on a `ThreadPool`, what
needs the database goes through `Database`.
"""
