import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.files import ROOT, variables_in

DOCKERFILE = (ROOT / "Dockerfile").read_text()
FINAL = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
BAKE = (ROOT / "docker-bake.hcl").read_text()


def test_bases_are_pinned_and_the_same() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert set(bases) == {bases[0]}
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", bases[0])


def test_nobody_is_root_in_the_end() -> None:
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert "useradd --uid 10001 --user-group" in FINAL
    assert FINAL.index("\nUSER ") < FINAL.index("\nCMD ")


def test_nothing_is_installed_into_what_runs() -> None:
    assert "apt-get" not in DOCKERFILE
    assert "pip" not in FINAL
    assert "--without-pip" in DOCKERFILE


def test_neither_training_nor_tests_are_in_it() -> None:
    extras = re.findall(r"'\.\[([a-z,]+)\]'", DOCKERFILE)
    assert extras == ["tracing"]


def test_loops_are_compiled_in_the_build_and_kept() -> None:
    assert "yocho scan" in DOCKERFILE[: -len(FINAL)]
    assert "COPY --from=build --chown=yocho:yocho /var/cache/yocho /var/cache/yocho" in FINAL


def test_nothing_of_ours_uses_what_is_left_out_of_scipy() -> None:
    removed = re.search(r"site-packages/scipy\nRUN rm -rf ([a-z ]+)", DOCKERFILE)
    assert removed
    gone = "|".join(removed[1].split())
    used = re.compile(rf"scipy\.({gone})\b|from scipy import .*\b({gone})\b")
    for package in ("service", "lnmf_core"):
        for file in (ROOT / package).rglob("*.py"):
            imports = [
                line for line in file.read_text().splitlines() if line.lstrip().startswith(("import", "from"))
            ]
            assert not used.search("\n".join(imports)), file


def test_the_sensor_has_its_two_capabilities_and_no_other() -> None:
    found = re.search(r"struct\.pack\('<5I', (0x\d+), (.+?), 0, 0, 0\)", FINAL)
    assert found
    magic, permitted = int(found[1], 16), found[2]
    # linux/capability.h: VFS_CAP_REVISION_2 with VFS_CAP_FLAGS_EFFECTIVE; CAP_NET_ADMIN is 12, CAP_NET_RAW 13.
    assert magic == 0x02000001
    assert permitted == "3 << 12"


def test_the_image_sets_nothing_that_a_file_of_secrets_would_contradict() -> None:
    set_here = [line for line in DOCKERFILE.splitlines() if line.startswith("ENV ")]
    assert not variables_in("\n".join(set_here))


@pytest.mark.parametrize("path", re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE))
def test_what_is_copied_is_there_and_sent_to_the_daemon(path: str) -> None:
    sent = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    for name in path.split():
        assert (ROOT / name).exists()
        assert name in sent


def test_what_the_package_consists_of_is_copied() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    packages = re.search(r"^packages = \[(.+)\]", project, re.MULTILINE)
    assert packages
    for package in re.findall(r'"(\w+)"', packages[1]):
        assert f"COPY {package} {package}" in DOCKERFILE


def test_releases_are_for_both_kinds_of_processors() -> None:
    assert 'platforms = ["linux/amd64", "linux/arm64"]' in BAKE


def test_the_version_is_the_same_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    version = re.search(r'^version = "(.+)"', project, re.MULTILINE)
    assert version
    assert f'default = "{version[1]}"' in BAKE
    assert f"yocho:{version[1]}" in (ROOT / "deploy" / "docker-compose.yml").read_text()
    assert f"newTag: {version[1]}" in (ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text()


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed; the extra `test` has it")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [str(HADOLINT), "--no-color", str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
