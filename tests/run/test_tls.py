"""``tls://``: certificates made by the commands that docs/clusters.md shows, a real scheduler and a real worker."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packages import hashes
from processes import Case
from schedulers import scheduler, worker

import geounet
from geounet.errors import ConfigError

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "clusters.md"


def make_certificates(folder: Path) -> dict[str, str]:
    """What the document's own commands leave; the keys of the ``tls`` section."""
    block = re.search(r"```text\n(openssl .*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    folder.mkdir()
    subprocess.run(["bash", "-euc", block[1]], cwd=folder, check=True, capture_output=True)
    return {
        name: str(folder / f"{file}.pem") for name, file in (("ca", "ca"), ("cert", "dask"), ("key", "dask-key"))
    }


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return make_certificates(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def secured(certificates: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler that speaks TLS, with a worker."""
    files = [
        "--tls-ca-file",
        certificates["ca"],
        "--tls-cert",
        certificates["cert"],
        "--tls-key",
        certificates["key"],
    ]
    folder = tmp_path_factory.mktemp("dask")
    with (
        scheduler(folder, "--protocol", "tls", *files) as address,
        worker(address, folder, "--protocol", "tls", *files),
    ):
        yield address


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler that does not."""
    with scheduler(tmp_path_factory.mktemp("plain")) as address:
        yield address


def infer(case: Case, output: Path, address: str, tls: dict[str, str] | None = None) -> geounet.Run:
    options: dict[str, Any] = case.options(output, scheduler=address, block=150)
    return geounet.infer(options.pop("scene"), **options, **({"cluster": {"tls": tls}} if tls else {}))


def test_the_same_bytes_over_tls(case: Case, tmp_path: Path, secured: str, certificates: dict[str, str]) -> None:
    infer(case, tmp_path / "out", secured, certificates)
    assert hashes(tmp_path / "out") == case.undisturbed


@pytest.mark.slow
def test_certificates_from_dask_s_own_configuration(
    case: Case, tmp_path: Path, secured: str, certificates: dict[str, str]
) -> None:
    from dask import config

    own = {"ca-file": certificates["ca"], "client.cert": certificates["cert"], "client.key": certificates["key"]}
    with config.set({f"distributed.comm.tls.{name}": value for name, value in own.items()}):
        infer(case, tmp_path / "out", secured)
    assert hashes(tmp_path / "out") == case.undisturbed


def refused(case: Case, tmp_path: Path, address: str, tls: dict[str, str] | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        infer(case, tmp_path / "out", address, tls)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").glob("*.tif"))


def test_a_client_without_certificates(case: Case, tmp_path: Path, secured: str) -> None:
    refused(case, tmp_path, secured, None, r"tls://\S+ needs certificates; give cluster: \{tls:")


def test_a_client_with_certificates_of_another_ca(
    case: Case, tmp_path: Path, secured: str, certificates: dict[str, str]
) -> None:
    others = make_certificates(tmp_path / "others")
    refused(case, tmp_path, secured, others, "cluster.tls.ca does not vouch for")
    others["ca"] = certificates["ca"]
    refused(case, tmp_path, secured, others, r"refuses our certificate \(.*alert")


def test_tcp_to_a_scheduler_with_tls(case: Case, tmp_path: Path, secured: str) -> None:
    refused(case, tmp_path, secured.replace("tls://", "tcp://"), None, r"speaks TLS; expected tls://127")


def test_tls_to_a_scheduler_without(case: Case, tmp_path: Path, plain: str, certificates: dict[str, str]) -> None:
    refused(
        case, tmp_path, plain.replace("tcp://", "tls://"), certificates, "does not speak TLS .*expected tcp://127"
    )


def test_files_that_are_no_certificates(case: Case, tmp_path: Path, certificates: dict[str, str]) -> None:
    address = "tls://127.0.0.1:9"
    refused(
        case, tmp_path, address, {**certificates, "key": "nowhere.pem"}, r"cluster.tls.key \S+nowhere.pem: No such"
    )
    refused(case, tmp_path, address, {**certificates, "ca": sys.executable}, "certificates cannot be used")
    refused(case, tmp_path, address, {**certificates, "cert": certificates["ca"]}, "certificates cannot be used")


def test_a_section_of_certificates_needs_a_scheduler_with_tls(case: Case, tmp_path: Path, certificates) -> None:
    refused(case, tmp_path, "tcp://127.0.0.1:9", certificates, "holds the certificates of --scheduler tls://")
