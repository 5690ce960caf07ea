"""One environment, however it is installed; and a tree that is tied to no machine."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from utils.course import lock

# Written as patterns that do not match themselves.
REGISTRIES = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|anaconda\.org|conda\.io|download\.pytorch\.org|crates\.io", re.I
)
MACHINE_PATHS = re.compile(r"(?<![\w.~$}>-])/(home|root|work|Users)/[\w.]|\b[A-Z]:\\+Users\b")
PICKLES = re.compile(r"allow_pickle\s*=\s*True|\bimport pickle\b|\bpickle\.load|weights_only\s*=\s*False|joblib\.load")


@pytest.fixture(scope="module")
def pins():
    return lock.read_lock()


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
    assert {"pyproject.toml", "requirements.lock", "utils/data.py"} <= set(found)
    return found


def lines_with(pattern: re.Pattern, texts: dict[str, str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


# --- pyproject.toml, requirements.lock and environment.yml


def test_every_direct_requirement_is_pinned_within_its_bounds(pins):
    for requirement in lock.direct_requirements():
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name} has no pin: run `python -m utils.course.lock`"
        assert requirement.specifier.contains(lock.pinned_version(pin)), f"{pin} does not satisfy {requirement}"


def test_torch_is_the_same_version_everywhere(pins):
    assert lock.pinned_version(pins["torch"]) == "2.13.0"
    (torch,) = [requirement for requirement in lock.direct_requirements() if requirement.name == "torch"]
    assert str(torch.specifier) == "==2.13.0"


def test_the_lock_pins_all_that_is_needed_and_nothing_else(pins):
    here = "linux" if sys.platform.startswith("linux") else sys.platform
    needed = lock.needed(here)
    applying = {name for name, pin in pins.items() if not pin.marker or pin.marker.evaluate()}
    assert applying <= needed, "the lock pins what nothing needs: run `python -m utils.course.lock`"
    # What the header of the lock leaves to pip on another system.
    left_to_pip = re.compile(r"nvidia-|cuda-|triton|colorama$|pywinpty$|appnope$")
    assert not [name for name in needed - applying if not left_to_pip.match(name)]


def test_the_lock_names_versions_only(repository, pins):
    text = (repository / "requirements.lock").read_text(encoding="utf-8")
    assert len(pins) > 100
    assert "+" not in text
    assert "://" not in text
    assert not re.search(r"^\s*-", text, flags=re.MULTILINE)


def test_what_windows_cannot_install_carries_a_marker(pins):
    for name in ("pexpect", "ptyprocess"):
        assert not pins[name].marker.evaluate({"sys_platform": "win32"})
        assert pins[name].marker.evaluate({"sys_platform": "darwin"})
        assert pins[name].marker.evaluate({"sys_platform": "linux"})


def test_what_is_installed_is_what_is_locked(pins):
    assert lock.deviations(pins) == []


def test_the_lock_can_be_renewed(tmp_path, pins):
    """From an environment that equals the lock comes the lock."""
    renewed = tmp_path / "requirements.lock"
    renewed.write_text(lock.render(), encoding="utf-8")
    fresh = lock.read_lock(renewed)
    applying = {name: str(pin) for name, pin in pins.items() if not pin.marker or pin.marker.evaluate()}
    assert {name: str(fresh[name]) for name in applying} == applying


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# fine\nnumpy>=2.0\n", "requirements.lock:2: expected `name==version`"),
        ("torch==2.13.0+cpu\n", "requirements.lock:1: expected `name==version`"),
        ("-e .\n", "requirements.lock:1: expected `name==version`"),
        ("numpy==2.*\n", "requirements.lock:1: expected `name==version`"),
        (
            "Typing_Extensions==4.1\n\ntyping-extensions==4.2\n",
            "requirements.lock:3: typing-extensions is pinned twice",
        ),
    ],
)
def test_a_lock_that_is_not_exact_is_refused(tmp_path, text, message):
    file = tmp_path / "requirements.lock"
    file.write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        lock.read_lock(file)


def test_deviations_name_both_versions(tmp_path):
    file = tmp_path / "requirements.lock"
    file.write_text(
        'numpy==1.0\nno-such-package==3.1\nalso-none==1.0 ; sys_platform == "none"\n'
        f"torch=={lock.pinned_version(lock.read_lock()['torch'])}\n"
    )
    wrong, missing = lock.deviations(lock.read_lock(file))
    assert re.fullmatch(r"numpy is 2\.\S+, the lock has 1\.0", wrong)
    assert missing == "no-such-package is not installed, the lock has 3.1"


def test_conda_installs_the_same(repository):
    environment = yaml.safe_load((repository / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"][0] == "conda-forge"
    assert "prefix" not in environment
    python, pip, from_pip = environment["dependencies"]
    assert pip == "pip"
    assert from_pip == {"pip": ["-r requirements.lock", "-e ."]}
    name, version = python.split("=")
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert name == "python"
    assert SpecifierSet(project["requires-python"]).contains(version)


# --- the tree


def test_the_tree_names_no_registry(texts):
    assert lines_with(REGISTRIES, texts) == []


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
        "import sys, utils, utils.output, utils.results, utils.checks, utils.course.doctor, utils.course.lock\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
