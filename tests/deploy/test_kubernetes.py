from pathlib import Path
from typing import Any

import pytest

from tests.deploy.files import DEPLOY, document, documents, known_variables

FOLDER = DEPLOY / "kubernetes"
FILES = sorted(file for file in FOLDER.rglob("*.yaml") if file.name != "kustomization.yaml")
OBJECTS: list[dict[str, Any]] = [found for file in FILES for found in documents(file)]
WORKLOADS = [found for found in OBJECTS if "template" in found.get("spec", {})]
CONTAINERS = [
    pytest.param(container, id=f"{found['metadata']['name']}-{container['name']}")
    for found in WORKLOADS
    for kind in ("initContainers", "containers")
    for container in found["spec"]["template"]["spec"].get(kind, [])
]

every_object = pytest.mark.parametrize(
    "found", OBJECTS, ids=lambda found: f"{found['kind']}-{found['metadata']['name']}"
)
every_workload = pytest.mark.parametrize("found", WORKLOADS, ids=lambda found: str(found["metadata"]["name"]))
every_container = pytest.mark.parametrize("container", CONTAINERS)


@every_object
def test_schemas_of_kubernetes(found: dict[str, Any]) -> None:
    validator = pytest.importorskip("kubernetes_validate")
    validator.validate(found, validator.latest_version(), strict=True)


@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "sensor"], ids=["service", "sensor"])
def test_every_file_is_named_once(folder: Path) -> None:
    kustomization = document(folder / "kustomization.yaml")
    assert sorted(kustomization["resources"]) == sorted(
        file.name for file in folder.glob("*.yaml") if file.name != "kustomization.yaml"
    )
    assert {image["name"] for image in kustomization["images"]} == {"yocho"}


@every_workload
def test_pods(found: dict[str, Any]) -> None:
    pod = found["spec"]["template"]["spec"]
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert found["spec"]["selector"]["matchLabels"] == found["spec"]["template"]["metadata"]["labels"]


@every_container
def test_containers(container: dict[str, Any]) -> None:
    rights = container["securityContext"]
    assert rights["readOnlyRootFilesystem"] is True
    sensor = container["name"] == "sensor"
    assert rights["capabilities"] == {"drop": ["ALL"], **({"add": ["NET_RAW", "NET_ADMIN"]} if sensor else {})}
    assert rights["allowPrivilegeEscalation"] is sensor
    assert {"cpu", "memory"} == set(container["resources"]["limits"]) == set(container["resources"]["requests"])
    assert container["image"] == "yocho" or container["image"].partition(":")[2][0].isdigit()


@every_container
def test_variables_are_known(container: dict[str, Any]) -> None:
    named = {entry["name"] for entry in container.get("env", [])}
    assert {name for name in named if name.startswith("YOCHO_")} <= known_variables()


@every_workload
def test_mounted_volumes_exist(found: dict[str, Any]) -> None:
    pod = found["spec"]["template"]["spec"]
    there = {volume["name"] for volume in pod["volumes"]}
    there |= {claim["metadata"]["name"] for claim in found["spec"].get("volumeClaimTemplates", [])}
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= there


def test_the_database_is_where_the_made_url_says() -> None:
    services = {found["metadata"]["name"] for found in OBJECTS if found["kind"] == "Service"}
    assert "${STORE:-postgres}/yocho" in (DEPLOY / "init" / "secrets.sh").read_text()
    assert "postgres" in services


def test_everything_is_forbidden_before_some_is_allowed() -> None:
    policies = {found["metadata"]["name"]: found["spec"] for found in OBJECTS if found["kind"] == "NetworkPolicy"}
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
