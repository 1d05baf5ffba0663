"""Someone who does random things to a folder, the same ones for the same seed."""

from __future__ import annotations

import mmap
import os
import random
import shutil

LARGE = 9 * 2**20
"""The size of the file that is written into and mapped; from 8 MiB on files are cloned, where that can be."""


class Vandal:
    """Does random things to a workspace. `used` is the name by which a file was just changed, if it was by one."""

    def __init__(self, root, seed):
        self._root = root
        self._random = random.Random(seed)
        self._open = {}
        self.used = None
        self.actions = [
            *(self.write, self.write, self.keep_open, self.append_open, self.remove, self.rename, self.make_folder),
            *(
                self.scribble,
                self.store,
                self.move_folder,
                self.move_in,
                self.remove_folder,
                self.chmod,
                self.link,
                self.symlink,
                self.back_date,
            ),
        ]

    def act(self):
        action = self._random.choice(self.actions)
        self.used = None
        try:
            action()
        except (OSError, IndexError):
            return f"{action.__name__} (not possible)"
        return action.__name__

    def close(self):
        for file in self._open.values():
            file.close()

    def folders(self):
        found = [self._root]
        for place, names, _ in os.walk(self._root):
            names[:] = [name for name in names if name != ".dotscience"]
            found += [type(self._root)(place, name) for name in names if not os.path.islink(os.path.join(place, name))]  # noqa: PTH114, PTH118
        return found

    def files(self):
        found = (path for folder in self.folders() for path in folder.iterdir() if path.is_file())
        return [path for path in found if path.name != ".dotscienceignore"]

    def write(self):
        self.used = self._random.choice(self.folders()) / f"f{self._random.randrange(8)}"
        self.used.write_bytes(self._bytes())

    def keep_open(self):
        path = self._random.choice(self.folders()) / "log"
        if path not in self._open:
            self._open[path] = path.open("ab", buffering=0)
        self._open[path].write(self._bytes())

    def append_open(self):
        self._random.choice(list(self._open.values())).write(b"x")

    def remove(self):
        self._random.choice(self.files()).unlink()

    def rename(self):
        self._random.choice(self.files()).rename(self._random.choice(self.folders()) / "renamed")

    def make_folder(self):
        folder = self._random.choice(self.folders()) / f"d{self._random.randrange(5)}" / "deep" / "er"
        folder.mkdir(parents=True)
        (folder / "inside").write_bytes(self._bytes())

    def move_folder(self):
        self._random.choice(self.folders()[1:]).rename(self._random.choice(self.folders()) / "moved")

    def move_in(self):
        outside = self._root.parent / f"outside{self._random.randrange(2**32)}"
        (outside / "sub").mkdir(parents=True)
        (outside / "sub" / "came").write_bytes(self._bytes())
        outside.rename(self._random.choice(self.folders()) / f"in{self._random.randrange(3)}")

    def remove_folder(self):
        shutil.rmtree(self._random.choice(self.folders()[1:]))

    def chmod(self):
        self.used = self._random.choice(self.files() + self.folders()[1:])
        self.used.chmod(self._random.choice((0o755, 0o700, 0o711)))

    def link(self):
        """Not of a file that is written to by a name that may go: nobody would see that (docs/snapshots.md)."""
        path = self._random.choice(self.files())
        if path.stat().st_ino not in {os.fstat(file.fileno()).st_ino for file in self._open.values()}:
            os.link(path, self._random.choice(self.folders()) / "hard")

    def scribble(self):
        with (self._root / "large").open("r+b") as file:
            file.seek(self._random.randrange(LARGE))
            file.write(self._bytes())

    def store(self):
        with (self._root / "large").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
            mapping[self._random.randrange(len(mapping))] = self._random.randrange(256)

    def symlink(self):
        (self._random.choice(self.folders()) / "soft").symlink_to("anywhere")

    def back_date(self):
        self.used = self._random.choice(self.files())
        status = self.used.stat()
        self.used.write_bytes(self._random.randbytes(status.st_size))
        os.utime(self.used, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _bytes(self):
        return self._random.randbytes(self._random.randrange(1, 5000))
