"""Certificates of the tests' own, made with openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from support.requirements import lacks


class Files(NamedTuple):
    """A certificate that signs itself, and its key."""

    certificate: Path
    key: Path


def make_certificate(folder: Path, name: str = "hub", *, password: str = "") -> Files:
    """A certificate for `localhost`, `hub.example.org` and 127.0.0.1."""
    if not shutil.which("openssl"):
        lacks("needs the package openssl")
    made = Files(folder / f"{name}.pem", folder / f"{name}.key")
    encryption = ["-passout", f"pass:{password}"] if password else ["-nodes"]
    names = "subjectAltName=DNS:localhost,DNS:hub.example.org,IP:127.0.0.1"
    kind = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2")
    subject = ("-subj", f"/CN={name}", "-addext", names)
    files = ("-out", str(made.certificate), "-keyout", str(made.key), *encryption)
    subprocess.run(["openssl", "req", *kind, *subject, *files], check=True, capture_output=True)
    return made
