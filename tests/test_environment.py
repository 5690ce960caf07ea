"""One environment, however it is installed; and a tree that is tied to no machine."""

import ast
import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from utils.course import doctor, release
from utils.course.register import Register

# Written as patterns that do not match themselves.
REGISTRIES = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|anaconda\.org|conda\.io|download\.pytorch\.org|crates\.io", re.I
)
MACHINE_PATHS = re.compile(r"(?<![\w.~$}>-])/(home|root|work|Users)/[\w.]|\b[A-Z]:\\+Users\b")
PICKLES = re.compile(r"allow_pickle\s*=\s*True|\bimport pickle\b|\bpickle\.load|weights_only\s*=\s*False|joblib\.load")


# The promise: where the course can be installed, as its markers see it and as uv calls it.
PYTHONS = ("3.11.0", "3.12.0", "3.13.0", "3.14.0")
SYSTEMS = {
    "x86_64-manylinux_2_28": ("posix", "linux", "Linux", "x86_64"),
    "aarch64-manylinux_2_28": ("posix", "linux", "Linux", "aarch64"),
    "aarch64-apple-darwin": ("posix", "darwin", "Darwin", "arm64"),
    "x86_64-pc-windows-msvc": ("nt", "win32", "Windows", "AMD64"),
}
PROMISED = [(python, system) for python in PYTHONS for system in SYSTEMS]
LOCKS = {"requirements.lock": (), "requirements-test.lock": ("test", "instructor", "cluster")}  # with their extras


def markers(python: str, system: str) -> dict[str, str]:
    """What a marker sees on a promised system."""
    names = ("os_name", "sys_platform", "platform_system", "platform_machine")
    versions = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    return versions | dict(zip(names, SYSTEMS[system], strict=True)) | {"implementation_name": "cpython"}


@pytest.fixture(scope="module")
def project(repository) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def locks(repository) -> dict[str, list[Requirement]]:
    texts = {name: (repository / name).read_text(encoding="utf-8").splitlines() for name in LOCKS}
    return {name: [Requirement(line) for line in text if not line.startswith("#")] for name, text in texts.items()}


def pinned(lock: list[Requirement], environment: dict[str, str]) -> dict[str, str]:
    """Package → version, as an environment reads a lock; each once."""
    pins = [pin for pin in lock if pin.marker is None or pin.marker.evaluate(environment)]
    versions = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins}
    assert len(versions) == len(pins), "a package is pinned twice"
    return versions


def asked_for(project: dict, *extras: str) -> list[Requirement]:
    """What pyproject.toml asks for, with some of its extras."""
    lines = list(project["project"]["dependencies"])
    for extra in extras:
        lines += project["project"]["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


@pytest.fixture(scope="module")
def texts(repository) -> dict[str, str]:
    """All text files that are or will be in git: path from the root → content."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=repository, capture_output=True
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    found = {}
    for name in filter(None, listing.stdout.decode().split("\0")):
        path = repository / name
        if path.is_file() and b"\0" not in (raw := path.read_bytes()):
            found[name] = raw.decode("utf-8")
    assert {"pyproject.toml", "requirements.lock", "install.py", "utils/data.py"} <= set(found)
    return found


def lines_with(pattern: re.Pattern, texts: dict[str, str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


# --- pyproject.toml, the locks, install.py and environment.yml


@pytest.mark.parametrize("name", LOCKS)
@pytest.mark.parametrize(("python", "system"), PROMISED)
def test_every_requirement_is_pinned_within_its_bounds(locks, project, name, python, system):
    versions = pinned(locks[name], markers(python, system))
    for requirement in asked_for(project, *LOCKS[name]):
        version = versions.get(canonicalize_name(requirement.name))
        assert version and requirement.specifier.contains(version), f"{requirement} has {version}: run `make lock`"


@pytest.mark.skipif(
    "COURSE_RESOLVE" not in os.environ, reason="asks a package registry: COURSE_RESOLVE=1, or `make lock`"
)
@pytest.mark.parametrize(("python", "system"), PROMISED)
def test_the_locks_are_resolved_with_wheels_alone(repository, locks, python, system):
    """Everything that the packages of a lock need is in it, and each package has a wheel for the system."""
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert uv, "uv is not installed: `make instructor` adds it"
    command = [
        uv,
        "pip",
        "compile",
        "--no-sources",
        "--no-python-downloads",
        "--no-annotate",
        "--no-header",
        "--only-binary",
        ":all:",
    ]
    for name, lock in locks.items():
        # From the repository, where pyproject.toml says which packages of GPUs are left out.
        run = subprocess.run(
            [*command, "--python-version", python, "--python-platform", system, name],
            cwd=repository,
            env=os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
        resolved = {canonicalize_name(Requirement(line).name) for line in run.stdout.splitlines()}
        assert resolved == set(pinned(lock, markers(python, system)))


def test_the_tests_lock_adds_to_the_students(locks):
    student, tests = ({str(pin) for pin in lock} for lock in locks.values())
    assert student <= tests


def test_a_student_needs_no_tool_of_tests_or_instructors(locks):
    student, tests = ({canonicalize_name(pin.name) for pin in lock} for lock in locks.values())
    others = {"nbgrader", "notebook", "distributed", "dask", "pytest", "nbval", "ruff", "uv"}
    assert others <= tests
    assert not others & student


def test_torch_is_the_same_version_everywhere_and_brings_no_gpu(locks, project):
    (torch,) = [requirement for requirement in asked_for(project) if requirement.name == "torch"]
    assert str(torch) == "torch==2.13.0"
    for lock in locks.values():
        assert "torch==2.13.0" in map(str, lock)
        assert not [pin for pin in lock if re.match("nvidia|cuda|triton", pin.name)]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_is_exact_and_names_no_place(repository, name):
    lines = (repository / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) > 100
    for line in lines:
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", line), line
    assert "://" not in "".join(lines)


def test_what_is_installed_is_what_is_locked():
    if "newest" in sys.prefix:
        pytest.skip("the environment of NEWEST=1 differs from the lock on purpose")
    assert [finding for finding in doctor.check_packages() if not finding.ok] == []


def imported(path: Path) -> set[str]:
    """The packages that a module imports, wherever in it, by the first part of their names."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("utils", ("cluster",)),
        ("chapters", ()),
        ("solutions", ()),
        ("tests", ("test",)),
        ("benchmarks", ("test", "benchmark")),
    ],
)
def test_what_is_imported_is_declared(repository, project, folder, extras):
    """Asked for by pyproject.toml itself, not only by a package that may stop doing so."""
    providers = importlib.metadata.packages_distributions()
    declared = {canonicalize_name(requirement.name) for requirement in asked_for(project, *extras)}
    for path in (repository / folder).rglob("*.py"):
        own = {"utils", folder} | {file.stem for file in (*path.parent.iterdir(), *(repository / folder).iterdir())}
        for name in imported(path) - own - sys.stdlib_module_names:
            distributions = {canonicalize_name(found) for found in providers.get(name, [name])}
            assert distributions & declared, f"{path} imports {name}, which pyproject.toml does not ask for"


@pytest.fixture(scope="module")
def install(repository):
    spec = importlib.util.spec_from_file_location("install", repository / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pip_calls(install, monkeypatch):
    """The arguments of each call of pip; nothing is installed."""
    calls = []
    monkeypatch.setattr(install, "pip", lambda python, *arguments, may_fail=False: calls.append(arguments) or True)
    monkeypatch.setattr(install, "make_environment", lambda folder: None)
    return calls


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], [("-r", "requirements.lock"), ("--no-deps", "--editable", ".")]),
        (["--tests"], [("-r", "requirements-test.lock"), ("--no-deps", "--editable", ".")]),
        (["--newest"], [("--upgrade", "--upgrade-strategy", "eager", "--editable", ".[test]")]),
    ],
)
def test_a_build_says_how_far_it_is(install, pip_calls, monkeypatch, capsys, options, expected):
    monkeypatch.setattr(sys, "argv", ["install.py", "--here", *options])
    monkeypatch.setattr(install, "wants_processor_build", lambda: False)
    install.main()
    assert pip_calls == expected
    assert f"[1 of {len(expected)}]" in capsys.readouterr().out


def test_the_build_for_processors_comes_first_where_it_answers(install, pip_calls, monkeypatch, project, capsys):
    (index,) = project["tool"]["uv"]["index"]
    monkeypatch.setattr(install, "answers", lambda address: address == index["url"])
    install.install_torch("python")
    assert pip_calls == [("--no-deps", "--index-url", index["url"], "torch==2.13.0")]
    monkeypatch.setattr(install, "answers", lambda address: False)
    install.install_torch("python")
    assert len(pip_calls) == 1
    assert "the default build" in capsys.readouterr().out


def test_a_driver_of_nvidia_means_the_default_build(install, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(install, "DRIVER", (str(tmp_path / "nvidia"),))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert install.wants_processor_build()
    (tmp_path / "nvidia").touch()
    assert not install.wants_processor_build()
    monkeypatch.setattr(install, "DRIVER", ())
    monkeypatch.setattr(shutil, "which", lambda name: "nvidia-smi")
    assert not install.wants_processor_build()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not install.wants_processor_build()


def test_an_address_that_does_not_answer_is_not_waited_for(install, monkeypatch):
    waits = threading.Event()
    monkeypatch.setattr(install.urllib.request, "urlopen", lambda *_, **__: waits.wait() and contextlib.nullcontext())
    monkeypatch.setattr(install, "PATIENCE", 0.05)
    assert not install.answers("https://example.invalid")
    waits.set()


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 15, 0)])
def test_another_python_is_told_so(install, monkeypatch, version, project):
    promise = SpecifierSet(project["project"]["requires-python"])
    assert not promise.contains(".".join(map(str, version)))
    assert all(promise.contains(python) for python in PYTHONS)
    monkeypatch.setattr(install, "sys", SimpleNamespace(version_info=version, version="another", exit=sys.exit))
    with pytest.raises(SystemExit, match=r"Python 3\.11 to 3\.14 is needed"):
        install.main()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(("user", "allowed"), [("0", True), ("1000", False)])
def test_the_lab_starts_as_root_with_a_word_of_warning(repository, tmp_path, user, allowed):
    fake = tmp_path / "id"
    fake.write_text(f"#!/bin/sh\necho {user}\n")
    fake.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    run = subprocess.run(
        ["make", "--dry-run", "lab"], cwd=repository, env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert ("--allow-root" in run.stdout) is allowed
    assert (re.search(r'echo "You are root[^"]*"$', run.stdout, flags=re.MULTILINE) is not None) is allowed


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_newest_packages_have_an_environment_of_their_own(repository):
    run = subprocess.run(["make", "--dry-run", "lint", "NEWEST=1"], cwd=repository, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert ".venv-newest/bin/ruff" in run.stdout
    assert ".venv/" not in run.stdout


def test_conda_brings_a_python_for_the_build(repository, project):
    environment = yaml.safe_load((repository / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"][0] == "conda-forge"
    assert "prefix" not in environment
    python, pip = environment["dependencies"]
    assert pip == "pip"
    name, version = python.split("=")
    assert name == "python"
    assert SpecifierSet(project["project"]["requires-python"]).contains(version)
    assert "install.py --here" in (repository / "postBuild").read_text(encoding="utf-8")


def test_a_release_for_nbgrader_says_where_nbgrader_is_missing(monkeypatch, tmp_path):
    chapters = Register().chapters[:1]
    *_, last = release.release(chapters, tmp_path / "with")
    assert "make instructor" not in last
    monkeypatch.setattr(release, "find_spec", lambda name: None)
    *_, last = release.release(chapters, tmp_path / "without")
    assert "nbgrader itself is not installed here; `make instructor`" in last


def test_an_installed_wheel_says_what_a_checkout_is_for(repository, tmp_path):
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("setuptools, which builds the wheel, is not installed")
    source = tmp_path / "source"
    shutil.copytree(repository / "utils", source / "utils", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, source)
    # Into a plain folder: an environment of its own would need all packages again.
    installing = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target"]
    run = subprocess.run(
        [sys.executable, "-m", "pip", *installing, str(tmp_path / "installed"), str(source)],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    command = "from utils.course.cli import main; main()"
    for code, verb, said in (
        (command, "list", "course: the course works in a checkout"),
        (command, "doctor", "[FAIL] course: not in "),
        ("from utils.data import load; load('mnist')", "", "SHA256SUMS is missing: the course works in a checkout"),
    ):
        run = subprocess.run(
            [sys.executable, "-c", code, verb],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 1
        assert said in run.stdout + run.stderr
        assert "make env" in run.stdout + run.stderr


# --- the tree


def test_the_tree_names_no_registry_but_pytorchs_once(texts):
    (line,) = lines_with(REGISTRIES, texts)
    assert re.fullmatch(r'pyproject.toml:\d+: url = ".*/whl/cpu"', line)


def test_the_tree_names_no_folder_of_one_machine(texts):
    # A leading slash in .gitignore means the root of the repository.
    assert lines_with(MACHINE_PATHS, {name: text for name, text in texts.items() if name != ".gitignore"}) == []


def test_nothing_is_unpickled(texts):
    assert lines_with(PICKLES, {name: text for name, text in texts.items() if name.endswith((".py", ".ipynb"))}) == []


def test_the_patterns_find_what_they_are_for():
    slash = "/"
    for path in (
        f"{slash}home/ada/x",
        f"file '{slash}work/main'",
        f'"{slash}root/.cache"',
        f"C:{chr(92)}Users{chr(92)}a",
    ):
        assert MACHINE_PATHS.search(path), path
    for path in (
        "../work/04",
        "{root}/work/04",
        "~/work/04",
        "work/04",
        "network/root/x",
        "https://a.b/work/x",
        "(?:/home/|/root/)",
    ):
        assert not MACHINE_PATHS.search(path), path
    assert REGISTRIES.search("https://" + "pypi" + ".org/simple")
    assert PICKLES.search("np.load(path, allow_pickle" + "=True)")


def test_no_file_shadows_the_package(repository):
    """A notebook's folder comes first on Python's path: a `utils.py` or `utils/` there would hide the course's."""
    for folder in ("chapters", "solutions", "work"):
        for path in Path(repository, folder).rglob("utils*"):
            assert path.stem != "utils", f"{path} hides the package utils: rename it"


def test_importing_the_plumbing_is_light():
    code = (
        "import sys, utils, utils.output, utils.results, utils.checks, utils.course.doctor\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
