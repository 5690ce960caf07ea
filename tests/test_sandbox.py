"""The sandbox: what it refuses, what it limits in sum, where it starts, and what is told of what went wrong in it."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from sandbox_here import needs_sandbox
from test_grade import RIGHT, SMALL, e_step, graded, notebook, of_e_step

from utils.course import CourseError
from utils.course.grading import bubblewrap, notebook_code, system_calls, trial, usage
from utils.course.grading.definitions import defined_names
from utils.course.grading.grade import run_cells
from utils.course.grading.notebook_runner import run, sources
from utils.course.grading.sandbox import Sandbox
from utils.course.grading.stream import Stream

FIRST, RIGHT_E_STEP = RIGHT["gmm.log_sum_exp"], RIGHT["gmm.e_step"]


def found(body: str) -> str:
    """What `body`, inside of the sandbox, puts into the list `found`."""
    status, message = of_e_step(e_step(f"found = []\n{textwrap.dedent(body)}\nraise ValueError(found)"))
    assert status == "raised", message
    return re.search(r"`ValueError: (.*)` in line", message)[1]


# --- system calls ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "machine", "header"), [(0, "x86_64", "asm/unistd_64.h"), (1, "aarch64", "unistd.h")])
def test_the_numbers_of_system_calls_are_the_kernels(at, machine, header):
    folders = {"x86_64": ["x86_64-linux-gnu/asm/unistd_64.h", "asm/unistd_64.h"], "aarch64": ["asm-generic/unistd.h"]}
    there = [path for path in (Path("/usr/include", name) for name in folders[machine]) if path.exists()]
    if not there:
        pytest.skip(f"the kernel's header {header} is not installed")
    numbers = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", there[0].read_text()))
    ours = system_calls.REFUSED | {
        "clone": system_calls.CLONE, "clone3": system_calls.CLONE3, "socket": system_calls.SOCKET
    }  # fmt: skip
    newer = {name for name in ours if name not in numbers}
    assert len(newer) < 6  # than the header
    assert {name: ours[name][at] for name in ours.keys() - newer} == {n: int(numbers[n]) for n in ours.keys() - newer}


@pytest.mark.parametrize("machine", system_calls.ARCHITECTURES)
def test_the_filter_refuses_what_it_names_and_nothing_else(machine):
    at = list(system_calls.ARCHITECTURES).index(machine)
    refused, allowed = system_calls.REFUSE, system_calls.ALLOW

    def outcome(number: int, argument: int = 0, architecture: int = system_calls.ARCHITECTURES[machine]) -> int:
        """As the kernel would run the filter."""
        shown, value, line = {0: number, 4: architecture, 16: argument}, 0, 0
        lines = system_calls.program(machine)
        while True:
            what, yes, no, constant = lines[line]
            if what == system_calls.RETURN:
                return constant
            if what == system_calls.LOAD:
                value, jump = shown[constant], 0
            else:
                tests = {system_calls.EQUAL: value == constant, system_calls.AT_LEAST: value >= constant}
                jump = yes if tests.get(what, bool(value & constant)) else no
            line += 1 + jump

    names = system_calls.REFUSED
    assert all(outcome(numbers[at]) & refused == refused for numbers in names.values())
    special = {numbers[at] for numbers in (system_calls.CLONE3, system_calls.SOCKET)}
    others = set(range(460)) - {numbers[at] for numbers in names.values()} - special
    assert {outcome(number) for number in others} == {allowed}
    assert outcome(system_calls.CLONE[at], 0x11) == allowed != outcome(system_calls.CLONE[at], 0x10000000 | 0x11)
    assert [outcome(system_calls.SOCKET[at], family) == allowed for family in (1, 2, 10, 16, 38, 40)] == [True] * 3 + [
        False
    ] * 3
    assert outcome(0, architecture=0x40000003) == system_calls.KILL  # 32 bits, with other numbers


@needs_sandbox
@pytest.mark.skipif(not system_calls.known(), reason="there is no filter of system calls for this machine")
def test_namespaces_memory_without_a_file_keyrings_and_doors_to_the_kernel_are_refused():
    at = list(system_calls.ARCHITECTURES).index(system_calls.platform.machine())
    calls = {name: numbers[at] for name, numbers in system_calls.REFUSED.items()} | {"clone3": system_calls.CLONE3[at]}
    body = f"""
    import ctypes, socket
    libc = ctypes.CDLL(None, use_errno=True)
    for name, number in {calls}.items():
        if libc.syscall(number, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() not in (1, 38):
            found.append(name)
    if libc.syscall({system_calls.CLONE[at]}, 0x10000000 | 17, 0, 0, 0, 0) != -1:
        found.append("clone")
    for family in (16, 38, 40):  # netlink, crypto, vsock
        try:
            socket.socket(family, socket.SOCK_STREAM if family == 40 else socket.SOCK_RAW)
            found.append(family)
        except OSError:
            pass
    """
    assert found(body) == "[]"


@needs_sandbox
def test_what_notebooks_do_still_works():
    work = textwrap.dedent("""
    import subprocess, threading, multiprocessing
    from torch.utils.data import DataLoader, TensorDataset
    loader = DataLoader(TensorDataset(torch.arange(8.0)), batch_size=2, num_workers=1)
    assert sum(batch.sum() for batch, in loader) == 28
    assert subprocess.run("echo hello", shell=True, capture_output=True).stdout == b"hello\\n"
    threads = [threading.Thread(target=os.getpid) for _ in range(4)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    x = torch.ones(3, requires_grad=True)
    (x ** 2).sum().backward()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(abs, [-1]) == [1]
    import matplotlib.pyplot as plt
    plt.plot([1, 2]); plt.savefig("figure.png")
    assert os.path.getsize("figure.png") > 1000
    """)
    result = graded(FIRST, work, RIGHT_E_STEP)
    assert result["notes"] == [] and [one["status"] for one in result["verdicts"]] == ["passed", "passed"]


# --- limits of a whole submission ------------------------------------------------------------------------------------


@needs_sandbox
def test_the_time_of_a_submission_is_looked_at_between_its_cells(monkeypatch):
    monkeypatch.setattr("utils.course.grading.grade.SECONDS", 1.5)
    begin = time.monotonic()
    result = graded(FIRST, *["import time; time.sleep(0.4)"] * 200)
    assert time.monotonic() - begin < 30  # not 80
    assert result["notes"][-1] == "It took longer than 1.5 s; what was left was not graded."
    assert {verdict["status"] for verdict in result["verdicts"]} == {"not attempted"}


@needs_sandbox
def test_thousands_of_errors_are_a_short_report_in_short_time():
    begin = time.process_time()
    result = graded(FIRST, RIGHT_E_STEP, *["1 / 0"] * 2000, *(f"raise ValueError({n} * 'long ')" for n in range(300)))
    assert [verdict["status"] for verdict in result["verdicts"]] == ["passed", "passed"]
    assert len(json.dumps(result)) < 40_000 and len("".join(result["notes"])) < 4_000
    assert result["notes"][0] == (
        "Code cells 4, 5, 6, 7, 8, 9, 10, 11 and 1992 more ended in `ZeroDivisionError: division by zero`."
    )
    assert result["notes"][-1].endswith("more code cells ended in other exceptions.")
    assert time.process_time() - begin < 20


@needs_sandbox
def test_the_memory_of_all_processes_is_summed():
    hog = """
    for _ in range(8):
        if os.fork() == 0:
            kept = torch.ones(25 * 2**20)  # 100 MB each, of 512 in all
            import time; time.sleep(60); os._exit(0)
    import time; time.sleep(60)
    """
    status, message = of_e_step(e_step(hog))
    assert status == "raised"
    assert message == "Your code was ended. All its processes together took more than 512 MB of memory."


@needs_sandbox
def test_memory_that_processes_share_counts_once():
    share = """
    import mmap, time
    def fill(mb):
        memory = mmap.mmap(-1, mb * 2**20)  # shared with all that is forked
        memory[::4096] = bytes([1]) * (len(memory) // 4096)
        return memory
    mine = fill({mine})
    for _ in range(4):
        if os.fork() == 0:
            kept = mine[::4096], fill({theirs})
            time.sleep({seconds}); os._exit(0)
    time.sleep({seconds})
    """
    share = textwrap.dedent(share)
    once = graded(FIRST, share.format(mine=200, theirs=1, seconds=1.5), RIGHT_E_STEP)
    assert [verdict["status"] for verdict in once["verdicts"]] == ["passed", "passed"] and once["notes"] == []
    more = graded(FIRST, share.format(mine=1, theirs=200, seconds=60), RIGHT_E_STEP)
    assert [verdict["status"] for verdict in more["verdicts"]] == ["passed", "passed"]
    assert more["notes"] == [
        "Code cell 3 ended Python; it was left out. All its processes together took more than 512 MB of memory."
    ]


@needs_sandbox
def test_all_its_folders_together_have_one_size_and_few_names():
    fill = """
    for place in ("/scratch/a", "/dev/shm/b", "/tmp/c", "/dev/d"):
        try:
            with open(place, "wb") as file:
                while True:
                    file.write(bytes(2**20)); file.flush()
        except OSError:
            pass
    found.append(sum(os.path.getsize(place) for place in ("/scratch/a", "/dev/shm/b")) <= 16 * 2**20)
    os.unlink("/scratch/a"), os.unlink("/dev/shm/b")
    try:
        for number in range(30_000):
            open(f"/scratch/{number}", "wb").close()
        found.append("many names")
    except OSError:
        pass
    """
    assert found(fill) == "[True]"


def test_a_control_group_is_used_only_where_it_works(tmp_path, monkeypatch):
    """A systemd-run that succeeds and limits nothing, one that fails, and none."""
    for script in ('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n', "#!/bin/sh\nexit 1\n"):
        (tmp_path / "systemd-run").write_text(script)
        (tmp_path / "systemd-run").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        usage.scope.cache_clear()
        assert usage.scope(2**30, 64) == ()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    usage.scope.cache_clear()
    assert usage.scope(2**30, 64) == ()
    usage.scope.cache_clear()


def test_a_control_group_that_has_the_limit_is_used(tmp_path, monkeypatch):
    """A systemd-run that says through the open file what a group with this limit would."""
    script = "#!/bin/sh\nfor word; do case $word in MemoryMax=*) most=${word#*=};; esac; last=$word; done\n"
    script += 'eval "echo $most $(echo "$last" | sed "s/^[^>]*//")"\n'
    (tmp_path / "systemd-run").write_text(script)
    (tmp_path / "systemd-run").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    usage.scope.cache_clear()
    words = usage.scope(2**30, 64)
    usage.scope.cache_clear()
    assert words[0] == "systemd-run" and "MemoryMax=2147483648" in words and words[-1] == "--"


# --- where it starts -------------------------------------------------------------------------------------------------


def test_links_on_the_way_are_followed(tmp_path):
    (tmp_path / "disk" / "env" / "bin").mkdir(parents=True)
    (tmp_path / "disk" / "env" / "bin" / "python3").write_text("")
    (tmp_path / "disk" / "env" / "bin" / "python").symlink_to("python3")
    (tmp_path / "home").symlink_to("disk")
    (tmp_path / "course").symlink_to(tmp_path / "home" / "env" / ".." / "env")
    end, links = bubblewrap.follow(tmp_path / "course" / "bin" / "python")
    assert end == (tmp_path / "disk" / "env" / "bin" / "python3").resolve()
    assert [link.name for link in links] == ["course", "home", "python"] or [link.name for link in links][-3:] == [
        "course", "home", "python"
    ]  # fmt: skip
    (tmp_path / "ring").symlink_to("ring")
    with pytest.raises(CourseError, match="leads nowhere"):
        bubblewrap.follow(tmp_path / "ring")


def test_packages_of_a_users_own_are_bound_too(tmp_path, monkeypatch):
    lies = {"torch": tmp_path / "site", "numpy": Path(sys.prefix, "lib")}
    spec = {name: SimpleNamespace(origin=str(place / name / "__init__.py")) for name, place in lies.items()}
    monkeypatch.setattr(bubblewrap, "find_spec", spec.get)
    assert bubblewrap.packages() == [tmp_path / "site"]
    (tmp_path / "site").mkdir()
    monkeypatch.setattr(bubblewrap, "_switches", lambda: "")  # as of an old bubblewrap
    words = bubblewrap.command({}, 1)
    assert f"--ro-bind {tmp_path / 'site'} {tmp_path / 'site'}" in " ".join(words) and "--size" not in words


@needs_sandbox
def test_it_starts_where_the_path_of_the_interpreter_holds_links(tmp_path, monkeypatch):
    """A linked environment in a linked home, as on clusters."""
    (tmp_path / "disk" / "user").mkdir(parents=True)
    (tmp_path / "home").symlink_to("disk")
    (tmp_path / "disk" / "user" / ".venv").symlink_to(sys.prefix)
    environment = tmp_path / "home" / "user" / ".venv"
    monkeypatch.setattr(sys, "prefix", str(environment))
    monkeypatch.setattr(sys, "executable", str(environment / "bin" / Path(sys.executable).name))
    with Sandbox(SMALL) as sandbox, sandbox.submission() as connection:
        cell = f"import sys\nassert sys.executable.startswith({str(environment)!r}), sys.executable\nimport torch"
        assert run_cells(Stream(connection, None), {1: cell, 2: "1 / 0"}) == {2: "ZeroDivisionError: division by zero"}


@needs_sandbox
def test_the_trial_of_the_sandbox_says_what_protects_and_what_does_not(monkeypatch):
    monkeypatch.setattr(trial, "Sandbox", lambda: _Lent())
    assert "starts; each submission has" in trial.try_sandbox()
    monkeypatch.setattr(trial, "LOOK_AROUND", "raise AssertionError('files')")
    with pytest.raises(trial.NoSandbox, match="lets through what it should stop: AssertionError: files"):
        trial.try_sandbox()


class _Lent:
    """The warm sandbox of the other tests, which goes on."""

    def __enter__(self) -> Sandbox:
        from utils.course.grading.grade import _sandbox

        return _sandbox(SMALL, False)

    def __exit__(self, *exception) -> None:
        pass


def test_a_sandbox_that_does_not_start_is_told_with_a_remedy(monkeypatch, tmp_path):
    def refuse(*_):
        raise CourseError("the sandbox did not start: bwrap: setting up uid map: Permission denied")

    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/bwrap")
    monkeypatch.setattr(trial, "Sandbox", refuse)
    with pytest.raises(trial.NoSandbox, match="Permission denied"):
        trial.try_sandbox()
    for name, value, fix in trial.FORBIDDEN:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{1 - int(value)}\n")
        assert trial.remedy(tmp_path) == trial.CONTAINER
        (tmp_path / name).write_text(f"{value}\n")
        assert trial.remedy(tmp_path) == fix
        (tmp_path / name).unlink()


def test_without_bubblewrap_only_grading_is_amiss(monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert trial.try_sandbox() == f"none; nothing but `course grade` needs it, and for that, {trial.INSTALL}"
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert "Linux only" in trial.try_sandbox()


# --- notebooks: what went wrong in them, and how large they may be ---------------------------------------------------


@needs_sandbox
def test_a_deleted_import_is_told_once_and_first():
    typed = "def {}(a: Tensor, b: Tensor = None):\n    return a"
    result = graded("print(1)", typed.format("log_sum_exp"), "tau = Tensor(3)", typed.format("e_step"))
    assert result["notes"] == ["Code cells 3, 4, 5 ended in `NameError: name 'Tensor' is not defined`."]
    assert result["errors"] == [[number, "NameError: name 'Tensor' is not defined"] for number in (3, 4, 5)]
    assert [(verdict["status"], verdict["message"]) for verdict in result["verdicts"]] == [
        ("raised", "`log_sum_exp` is not defined, because code cell 3 ended in an error."),
        ("raised", "`e_step` is not defined, because code cell 5 ended in an error."),
    ]


@needs_sandbox
def test_the_exception_of_a_cell_is_told_whatever_it_is():
    cells = "import no_such_module", "x = = 1", "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E"
    result = graded(
        *cells,
        "raise ValueError('\\x1b[2J`' * 300)",
        "exit()",
        FIRST,
        RIGHT_E_STEP,
        "stub = 0\nraise NotImplementedError",
    )
    assert [verdict["status"] for verdict in result["verdicts"]] == ["passed", "passed"]
    assert result["notes"][:3] == [
        "Code cell 2 ended in `ModuleNotFoundError: No module named 'no_such_module'`.",
        "Code cell 3 ended in `SyntaxError: invalid syntax, line 1`.",
        "Code cell 4 ended in `E`.",
    ]
    assert "\x1b" not in "".join(result["notes"]) and len(max(result["notes"], key=len)) < 300
    assert "NotImplementedError" not in "".join(result["notes"])


@needs_sandbox
def test_cells_that_python_cannot_read_end_in_their_own_error():
    odd = "x = '\ud800'", "x = 1\0", "(" * 1000, "x = " + "1+" * 100_000 + "1", "%run /etc/passwd", "%%none\n1"
    result = graded(*odd, FIRST, RIGHT_E_STEP)
    assert [verdict["status"] for verdict in result["verdicts"]] == ["passed", "passed"]
    kinds = {number: said.partition(":")[0] for number, said in result["errors"]}
    assert kinds | {5: ""} == {
        2: "UnicodeEncodeError",
        3: kinds[3],
        4: "SyntaxError",
        5: "",
        6: "Exception",
        7: "UsageError",
    }
    json.dumps(result).encode()


def test_cells_that_would_define_a_name_are_known():
    for code in ("x = 1\ndef f(a):\n    pass", "class f:", "f = partial(g)", "%matplotlib inline\ndef f(a) return a"):
        assert "f" in defined_names(code), code
    for code in ("f(1)\n  f == 2\ndef ff(): pass\ng = f\n# def f", "f == 3", '"""\ndef f(): ...\n"""'):
        assert "f" not in defined_names(code), code


def test_without_a_listener_tracebacks_are_printed(capsys):
    assert "x" not in run(["1 / 0"])
    assert "ZeroDivisionError" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[" + b'{"":0},' * 600_000 + b"0]", "too much memory or time"),
        (b"[" * 57_000_000, "no JSON"),
        (b'{"a":' * 10_000_000, "no JSON"),
        (notebook("x = 1\n" * 1_000_000), "the limit is 5,000,000"),
        (b" " * 100_000_001, "clear the outputs"),
    ],
    ids=["many objects", "deep lists", "deep objects", "much code", "a large file"],
)
def test_a_large_file_does_not_make_the_grader_large(content, says, monkeypatch):
    monkeypatch.setattr("utils.course.grading.notebook_runner.READ_MEMORY", 2**27 if len(content) < 2**23 else 2**30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CourseError, match=says):
        sources(content)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB


def test_a_large_notebook_is_read_apart_and_the_same():
    cells = "x = 'é😀'", "y = 2"
    large = json.loads(notebook(*cells))
    large["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["line\n"] * 400_000}]
    assert sources(json.dumps(large).encode()) == list(cells)
    done = subprocess.run(
        [sys.executable, "-I", "-S", notebook_code.__file__, "-1"],
        input=notebook(*cells),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout) == [[["code", cell, "", {}] for cell in cells], ""]
