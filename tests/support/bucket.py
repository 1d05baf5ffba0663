"""An S3-compatible store to test with: moto's server, which keeps buckets in its memory.

Not rclone's, which answers a request for a range with 200 instead of 206 (RFC 9110, 15.3.7).
"""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import NamedTuple

import requests
from support.venvs import installed

from dotscience.cli.processes import free_port

PINS = ("moto[s3]>=5.1,<6", "flask>=3", "flask-cors>=5")


class Bucket(NamedTuple):
    """A bucket: its address, and the variables with which it is found."""

    url: str
    environment: dict[str, str]


@contextmanager
def bucket(name: str = "dots"):
    """A bucket, for as long as this lasts."""
    port = free_port(0)
    endpoint = f"http://127.0.0.1:{port}"
    folder, _ = installed("moto", *PINS)  # its python-dateutil is older than ours
    command = [str(folder / "bin" / "python"), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            while not _made(f"{endpoint}/{name}"):
                assert process.poll() is None, process.stderr.read()
            environment = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
            yield Bucket(f"s3://{name}/hub", environment)
        finally:
            process.terminate()
            process.communicate(timeout=30)


def _made(url: str) -> bool:
    try:
        return requests.put(url, timeout=5).ok
    except requests.ConnectionError:
        return False
