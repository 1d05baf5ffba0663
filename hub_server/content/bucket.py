"""Packs in a bucket of an S3-compatible store: `<prefix>/packs/ab/<hash>`.

An S3 store shows an object when all of it is durable, and never a part of one, so one PUT is all that keeping takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from committer.storage.pack import PACKS
from dotscience.errors import ConfigError, MissingObject, StorageUnavailable
from hub_server.content.storage import StoredPack, pack_named

TIMEOUT = timedelta(seconds=60)
RETRY_FOR_S = 30.0
RETRIES = 5
ENDPOINT = "AWS_ENDPOINT_URL"


class BucketStorage:
    """A `PackStorage` in a bucket."""

    def __init__(self, url: str, environment: Mapping[str, str], *, retry_for_s: float = RETRY_FOR_S) -> None:
        """Use the bucket of an address like `s3://bucket/prefix`; nothing is asked of it yet.

        What fails for reasons that may pass is tried again, for `retry_for_s` at most.

        Keys, region and endpoint come from the variables that all S3 clients know (`AWS_ACCESS_KEY_ID`,
        `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …), or from where the machine runs.

        Raises:
            ConfigError: the address or a variable cannot be used.
        """
        parts = urlsplit(url)
        self._url = url
        self._retry_for = timedelta(seconds=retry_for_s)
        self._store = self._open(parts.netloc, parts.path.strip("/"), environment)

    def _open(self, bucket: str, prefix: str, environment: Mapping[str, str]) -> S3Store:
        endpoint = environment.get(ENDPOINT)
        options: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
        try:
            return S3Store(
                bucket,
                prefix=prefix or None,
                region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1",
                virtual_hosted_style_request=not endpoint,
                client_options={"timeout": TIMEOUT, "allow_http": bool(endpoint and endpoint.startswith("http://"))},
                retry_config={"max_retries": RETRIES if self._retry_for else 0, "retry_timeout": self._retry_for},
                **options,
            )
        except (BaseError, ValueError, TypeError) as error:
            raise ConfigError(f"the storage {self._url} cannot be used: {error}") from error

    def check(self) -> None:
        """Make sure that the bucket answers.

        Raises:
            ConfigError: it does not, or does not let us in.
        """
        try:
            for _ in self.packs():
                return
        except StorageUnavailable as error:
            raise ConfigError(f"{error}; check the address, AWS_ENDPOINT_URL and the keys") from error

    def keep(self, staged: Path, pack: bytes) -> None:
        """Upload the file."""
        with self._errors():
            obstore.put(self._store, _key(pack), staged)
        staged.unlink()

    def read(self, pack: bytes, offset: int, size: int) -> bytes:
        """A part of a pack, by one range request."""
        try:
            with self._errors():
                return bytes(obstore.get_range(self._store, _key(pack), start=offset, length=size))
        except FileNotFoundError as error:
            raise MissingObject(f"pack {pack.hex()} is not in {self._url}; restore it from a backup") from error

    def delete(self, pack: bytes) -> None:
        """Delete the object."""
        try:
            with self._errors():
                obstore.delete(self._store, _key(pack))
        except FileNotFoundError:
            return

    def packs(self) -> Iterator[StoredPack]:
        """Every pack below the prefix."""
        with self._errors():
            for page in obstore.list(self._store, prefix=PACKS):
                for one in page:
                    pack = pack_named(str(one["path"]).rpartition("/")[2])
                    if pack is not None:
                        yield StoredPack(pack, int(one["size"]), one["last_modified"].timestamp())

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what the client says into our errors; a missing object stays FileNotFoundError."""
        try:
            yield
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            what = str(error).partition("\n")[0][:300]
            raise StorageUnavailable(f"{self._url} cannot be used: {what}") from error


def _key(pack: bytes) -> str:
    name = pack.hex()
    return f"{PACKS}/{name[:2]}/{name}"
