"""The files of studies/cluster: what can be checked of them without a cluster."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from robustness.spec import expand, override, parse, read_file

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "studies" / "cluster"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
IMAGE = f"robustness-study:{PROJECT['project']['version']}"


def requirement(name: str, extra: str | None = None) -> Requirement:
    listed = (
        PROJECT["project"]["optional-dependencies"][extra] if extra else PROJECT["project"]["dependencies"]
    )
    [found] = [r for r in map(Requirement, listed) if r.name == name]
    return found


def test_every_file_stands_in_both_readmes() -> None:
    files = {path.name for path in FOLDER.iterdir() if path.is_file()} - {"__init__.py", "README.md"}
    assert files == {"job.sh", "slurm.sh", "ray-cluster.yaml", "rayjob.yaml", "Dockerfile", "two-nodes.log"}
    for text in ((FOLDER / "README.md").read_text(), (ROOT / "README.md").read_text()):
        assert all(f"`{name}`" in text for name in files)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_what_bash_can_run(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed (make system-packages)")
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ROBUSTNESS_PYTHON": None}, "absolute path of the python"),
        ({"ROBUSTNESS_PYTHON": "python"}, "must be an absolute path, got python"),
        ({"ROBUSTNESS_STORE": None}, "postgresql://USER@HOST/DATABASE"),
        ({"ROBUSTNESS_STORE": "sqlite:///robustness.db"}, "no other machine can open an SQLite file"),
        ({"ROBUSTNESS_STORE": 'postgresql://a/b", "PATH": "c'}, "must be postgresql://USER@HOST/DATABASE"),
    ],
)
def test_a_job_without_what_it_needs_is_refused_in_words(changes: dict[str, str | None], said: str) -> None:
    given = {
        "PATH": "/usr/bin:/bin",
        "ROBUSTNESS_PYTHON": "/v/python",
        "ROBUSTNESS_STORE": "postgresql://a/b",
    }
    done = subprocess.run(
        [str(FOLDER / "job.sh"), "study.toml"],
        env={name: value for name, value in {**given, **changes}.items() if value is not None},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert said in done.stderr


def launcher() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "ray-cluster.yaml").read_text())
    return found


def in_a_cloud() -> dict[str, Any]:
    """The file with what its `# cloud:` lines say instead."""
    text = (FOLDER / "ray-cluster.yaml").read_text()
    instead = "\n".join(re.findall(r"^# cloud: (.*)$", text, re.M))
    return {**launcher(), **yaml.safe_load(instead)}


@pytest.mark.parametrize("config", [launcher, in_a_cloud])
def test_ray_accepts_the_cluster_file(config: Any) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(config())
    validate_config(prepared)
    kinds = prepared["available_node_types"].values()
    assert sum(kind.get("min_workers", 0) for kind in kinds) == prepared["max_workers"] == 2


def test_ray_refuses_a_misspelt_field_of_the_cluster_file() -> None:
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    with pytest.raises(ValidationError, match="setup_command"):
        validate_config(prepare_config({**launcher(), "setup_command": []}))


def test_every_ray_of_the_cluster_file_asks_for_the_token() -> None:
    config = launcher()
    starts = [
        command
        for side in ("head", "worker")
        for command in config[f"{side}_start_ray_commands"]
        if "ray start" in command
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in command for command in starts)
    assert "chmod 600 ~/.ray/auth_token" in config["setup_commands"]
    [install] = [command for command in config["setup_commands"] if "pip install" in command]
    [extras] = re.findall(r"~/robustness-study\[(.*)\]", install)
    assert set(extras.split(",")) <= PROJECT["project"]["optional-dependencies"].keys()


def test_the_kubernetes_job_has_the_fields_of_its_schema() -> None:
    """Required fields and names of ray.io/v1, read off KubeRay's types; and what we say of it."""
    [job] = yaml.safe_load_all((FOLDER / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"], set(job)) == (
        "ray.io/v1",
        "RayJob",
        {"apiVersion", "kind", "metadata", "spec"},
    )
    spec = job["spec"]
    assert spec.keys() <= {
        "activeDeadlineSeconds", "backoffLimit", "rayClusterSpec", "submitterPodTemplate", "metadata",
        "clusterSelector", "submitterConfig", "managedBy", "deletionStrategy", "entrypoint", "runtimeEnvYAML",
        "jobId", "submissionMode", "entrypointResources", "entrypointNumCpus", "entrypointNumGpus",
        "ttlSecondsAfterFinished", "shutdownAfterJobFinishes", "suspend",
    }  # fmt: skip
    cluster = spec["rayClusterSpec"]
    assert cluster.keys() <= {
        "headGroupSpec", "workerGroupSpecs", "rayVersion", "authOptions", "enableInTreeAutoscaling",
        "autoscalerOptions", "headServiceAnnotations", "suspend",
    }  # fmt: skip
    assert cluster["authOptions"] == {"mode": "token"}  # from Ray 2.52.0
    head, workers = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    for group in (head, *workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        [container] = pod["containers"]
        assert container["image"] == IMAGE
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert f"\nUSER {pod['securityContext']['runAsUser']}\n" in DOCKERFILE
        assert {mount["name"] for mount in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert all(isinstance(amount, str) for amount in container["resources"]["limits"].values())
    for group in workers:
        assert {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"} == set(
            group
        )
        assert group["minReplicas"] == group["replicas"]  # a study counts the nodes when it starts
        assert "nvidia.com/gpu" in group["template"]["spec"]["containers"][0]["resources"]["limits"]
    [secret] = [
        entry["valueFrom"]["secretKeyRef"]
        for entry in head["template"]["spec"]["containers"][0]["env"]
        if entry["name"] == "ROBUSTNESS_STORE"
    ]
    assert (
        f"create secret generic {secret['name']} --from-literal={secret['key']}="
        in (FOLDER / "rayjob.yaml").read_text()
    )
    ports = {p["containerPort"]: p["name"] for p in head["template"]["spec"]["containers"][0]["ports"]}
    assert ports[6379] == "gcs-server"
    assert ports[8265] == "dashboard"


def test_what_the_kubernetes_job_overrides_is_a_study() -> None:
    [job] = yaml.safe_load_all((FOLDER / "rayjob.yaml").read_text())
    plain = read_file(ROOT / "studies" / "quickstart.toml")
    assignments = re.findall(r"--set (\S+)", (FOLDER / "rayjob.yaml").read_text())
    assert len(assignments) == 2
    for assignment in assignments:
        study = parse(override(plain, assignment.rstrip("`")))
        assert study.resources.gpus > 0
        assert expand(study).trial_count > 0
    assert job["spec"]["entrypoint"].startswith("python -m robustness.cli run /study/study.toml")


def test_the_versions_of_the_image_are_the_projects() -> None:
    [python] = re.findall(r"^FROM python:(\S+)-slim$", DOCKERFILE, re.M)
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(f"{python}.0")
    [ray] = re.findall(r"^ARG RAY_VERSION=(\S+)$", DOCKERFILE, re.M)
    assert requirement("ray").specifier.contains(ray)
    assert requirement("ray", "cluster").specifier.contains(ray)
    [job] = yaml.safe_load_all((FOLDER / "rayjob.yaml").read_text())
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == ray
    assert Version(ray) >= Version("2.52.0")  # of tokens
    assert f"-t {IMAGE} ." in DOCKERFILE


def test_what_the_image_installs_is_the_project() -> None:
    [(extras, others)] = re.findall(r'^RUN pip install .*"\.\[(.*?)\]"(.*)$', DOCKERFILE, re.M)
    assert set(extras.split(",")) == {"cluster", "optimizers"}
    assert others == ' "ray[default,tune]==$RAY_VERSION"'
    # One file system layer each, and no address but the image's name.
    hosts = re.findall(r"[a-z0-9-]+\.(?:io|com|org|dev)\b", DOCKERFILE)
    assert hosts == []


def copied() -> list[tuple[str, str]]:
    """The sources and targets of the Dockerfile's COPYs."""
    found = []
    for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.M):
        *sources, target = line.split()
        found += [(source, target) for source in sources]
    return found


@pytest.mark.slow
def test_a_wheel_of_what_the_image_copies_has_the_library_and_these_files(tmp_path: Path) -> None:
    """`pip install .` in the image, less its downloads."""
    for source, target in copied():
        to = tmp_path / "src" / (source if target == "./" else target)
        to.parent.mkdir(exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, to)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        + ["--disable-pip-version-check", "--wheel-dir", str(tmp_path), str(tmp_path / "src")],
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    assert Version(wheel.name.split("-")[1]) == Version(PROJECT["project"]["version"])
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for path in FOLDER.iterdir():
        if path.is_file():
            assert f"robustness/studies/cluster/{path.name}" in names
    for module in (ROOT / "robustness").rglob("*.py"):
        assert str(module.relative_to(ROOT)) in names
