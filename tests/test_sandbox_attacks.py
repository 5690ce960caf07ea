"""Submissions that want to break out, speak for the grader, or pass for what they are not: each gets its verdict.

A right answer to another exercise stands beside each of them, and passes whatever happens.
"""

from __future__ import annotations

import io
import os
import textwrap

import pytest
from sandbox_here import needs_sandbox
from test_grade import RIGHT, WRONG, e_step, graded, of_e_step

from utils.course import cli, terminal
from utils.course.register import Register

FIRST, RIGHT_E_STEP = RIGHT["gmm.log_sum_exp"], RIGHT["gmm.e_step"]


def cells(*sources: str) -> list[str]:
    return [textwrap.dedent(source).strip() for source in sources]


# --- breaking out ----------------------------------------------------------------------------------------------------


@needs_sandbox
def test_signals_reach_nobody_outside():
    """Not the parent, not the server, not the grader."""
    send = f"""
    import signal
    sent = []
    for process in (os.getppid(), 1, 2, 3, {os.getpid()}, {os.getppid()}):
        for number in (signal.SIGSTOP, signal.SIGTERM):
            try:
                if process not in (0, os.getpid()):
                    os.kill(process, number)
                    sent.append(process)
            except OSError:
                pass
    raise ValueError(sent)
    """
    status, message = of_e_step(e_step(send))
    assert status == "raised" and "`ValueError: []`" in message
    assert of_e_step(RIGHT_E_STEP)[0] == "passed"


@needs_sandbox
def test_it_sees_no_process_but_its_own():
    look = """
    processes = [entry for entry in os.listdir("/proc") if entry.isdigit()]
    others = [entry for entry in processes if int(entry) != os.getpid()]
    files = sorted(os.listdir("/proc/self/fd"))[:-1]  # the last is the folder that is being read
    raise ValueError(others, os.getpid(), os.getppid(), "".join(files))
    """
    assert "`ValueError: ([], 1, 0, '0123')`" in of_e_step(e_step(look))[1]


@needs_sandbox
def test_it_has_no_rights_and_gets_none_back():
    ask = """
    import ctypes, resource
    from pathlib import Path
    got = []
    for what, do in {
        "user": lambda: os.setuid(0), "group": lambda: os.setgid(0), "groups": lambda: os.setgroups([0]),
        "root": lambda: os.chroot("/scratch"), "priority": lambda: os.nice(-5),
        "device": lambda: os.mknod("d", 0o60666, 1),
        "memory": lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
        "processes": lambda: resource.setrlimit(resource.RLIMIT_NPROC, (-1, -1)),
        "setting": lambda: Path("/proc/sys/kernel/hostname").write_text("x"),
        "mapping": lambda: Path("/proc/self/uid_map").write_text("0 0 1"),
        "system": lambda: open("/usr/bin/x", "w"), "device file": lambda: open("/dev/x", "w"),
        "disk": lambda: open("/dev/sda"), "memory of the machine": lambda: open("/dev/mem"),
        "core pattern": lambda: open("/proc/sys/kernel/core_pattern", "w"),
    }.items():
        try:
            do()
            got.append(what)
        except (OSError, ValueError):
            pass
    rights = [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapPrm", "CapInh"))]
    raise ValueError(got, set(rights))
    """
    assert "`ValueError: ([], {'0000000000000000'})`" in of_e_step(e_step(ask))[1]


@needs_sandbox
def test_links_lead_nowhere_but_into_the_sandbox(tmp_path):
    """Also one that changes while the grader grades: it reads nothing of what the submission writes."""
    (tmp_path / "secret").write_text("the hidden seed")
    link = f"""
    import threading
    def swap():
        while True:
            for target in ({str(tmp_path / "secret")!r}, "/scratch/mine"):
                try:
                    os.unlink("/scratch/link")
                except OSError:
                    pass
                try:
                    os.symlink(target, "/scratch/link")
                except OSError:
                    pass
    threading.Thread(target=swap, daemon=True).start()
    open("/scratch/mine", "w").write("mine")
    read = set()
    for _ in range(300):
        try:
            read.add(open("/scratch/link").read())
        except OSError:
            pass
    raise ValueError(read - {{"mine"}}, os.path.exists({str(Register().root / "solutions")!r}))
    """
    assert "`ValueError: (set(), False)`" in of_e_step(e_step(link))[1]


@needs_sandbox
def test_what_goes_on_after_a_cell_ends_with_the_submission():
    """Threads, timers, exit handlers and children that write on, and a message for the next submission."""
    leave = """
    import atexit, signal, threading, time
    def on():
        while True:
            for number in range(3, 8):
                try:
                    os.write(number, b"passed" * 10)
                except OSError:
                    pass
            time.sleep(0.01)
    atexit.register(on)
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN), signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.setsid()
        threading.Thread(target=on, daemon=True).start()
        open("/dev/shm/message", "w").write("the answer")
        time.sleep(600)
    """
    first = graded(*cells(leave), FIRST, RIGHT_E_STEP)
    assert {verdict["status"] for verdict in first["verdicts"]} <= {"wrong", "raised", "passed"}
    find = "raise ValueError([p for p in ('/dev/shm', '/scratch') for p in os.listdir(p) if 'message' in p])"
    assert "`ValueError: []`" in of_e_step(e_step(find))[1]


# --- speaking for the grader -----------------------------------------------------------------------------------------

SPEAK = """
import json, struct
def frame(value):
    text = json.dumps(value).encode()
    return struct.pack(">II", len(text), 0) + text
def say(*values):
    for value in values:
        os.write(3, frame(value))
"""
FORGERIES = {
    "frames of cells that did not run": (
        SPEAK + 'say(*[["cell", ""]] * 9)',
        WRONG,
    ),
    "an answer before the question": (SPEAK + 'say(["return", [], [], None, ["function", 0, "m", "e_step"]])', WRONG),
    "a verdict": (SPEAK + 'say(["error", "Exception", "Wrong", "", ["passed", "Well done.", ""]])', WRONG),
    "an exception that is a frame": ('raise ValueError("\\0\\0\\0\\2" + "[]")', WRONG),
    "modules in the working folder": (
        """
        for name in ("torch", "numpy", "json", "utils", "sitecustomize"):
            open(f"{name}.py", "w").write("def __getattr__(name): return lambda *a, **k: True")
        sys.path.insert(0, os.getcwd())
        for name in [name for name in sys.modules if name.partition(".")[0] in ("torch", "numpy", "utils")]:
            sys.modules.pop(name)
        """,
        WRONG,
    ),
    "other builtins": (
        """
        import builtins
        builtins.isinstance = lambda *a: True
        builtins.len = lambda a: 0
        builtins.abs = builtins.max = builtins.sum = lambda *a, **k: 0
        builtins.print = lambda *a, **k: None
        """,
        WRONG,
    ),
    "another engine and another link": (
        """
        import utils.checks.guard as guard, utils.course.grading.remote as remote, utils.course.grading.rpc as rpc
        guard.Guarded.__call__ = lambda self, *inputs: (inputs[0] + inputs[1]).softmax(0)
        rpc.Link._described = lambda *a: ["Exception", "Wrong", "", ["passed", "Well done.", ""]]
        remote._Student.begin = lambda *a: (_ for _ in ()).throw(ValueError())
        """,
        WRONG,
    ),
    "a trace of everything": (
        """
        import threading
        def look(frame, event, argument):
            for name in list(frame.f_locals):
                if name in ("outcome", "verdict", "status", "message"):
                    frame.f_locals[name] = "passed"
            return look
        sys.settrace(look), threading.settrace(look), sys.setprofile(look)
        """,
        WRONG,
    ),
    "the right answer at the first call only": (
        """
        calls = []
        def e_step(log_weights, log_prob):
            calls.append(1)
            answer = (log_weights + log_prob).softmax(-1)
            return answer if len(calls) == 1 else answer * 0 + 0.5
        """,
    ),
}


@needs_sandbox
@pytest.mark.parametrize("name", FORGERIES)
def test_a_grade_cannot_be_forged(name):
    result = graded(*cells(FIRST, *FORGERIES[name]))
    status, message = result["verdicts"][1]["status"], result["verdicts"][1]["message"]
    assert status in ("wrong", "raised", "timed out"), message


# --- passing for something else --------------------------------------------------------------------------------------

LIARS = {
    "class": "class Liar:\n    __class__ = torch.Tensor\n    shape = log_prob.shape\n    dtype = log_prob.dtype",
    "equal": "class Liar:\n    __eq__ = __le__ = __ge__ = lambda *a: True\n    __hash__ = None",
    "float": "class Liar(float):\n    __float__ = lambda self: 1.0\n    __sub__ = __abs__ = lambda *a: Liar(0)",
    "number": "class Liar(int):\n    __eq__ = __lt__ = __gt__ = lambda *a: True\n    __hash__ = int.__hash__",
    "attributes": "class Liar:\n    def __getattr__(self, name): return lambda *a, **k: True",
    "array": "class Liar:\n    def __array__(self, *a, **k): return log_prob.softmax(-1).numpy()",
    "torch": "class Liar:\n    @classmethod\n    def __torch_function__(cls, *a, **k): return torch.tensor(True)",
    "text": "class Liar(str):\n    __eq__ = lambda *a: True\n    __hash__ = str.__hash__",
    "length": "class Liar(list):\n    __len__ = lambda self: 2**40\n    def __iter__(self):\n        while 1: yield 1",
    "dictionary": "class Liar(dict):\n    def items(self):\n        while True: yield 1, self",
    "name": "Liar = type('Tensor\\x1b[2J' * 50, (), {'__repr__': lambda self: 1 / 0})",
}


@needs_sandbox
@pytest.mark.parametrize("what", LIARS)
def test_an_object_that_lies_is_no_answer(what):
    status, message = of_e_step(e_step(LIARS[what] + "\nreturn Liar()"))
    assert status in ("wrong", "raised"), message
    assert "\x1b" not in message and len(message) <= 500


HUGE = {
    "an integer of 10,000 digits": "return 10 ** 10_000",
    "an integer that takes gigabytes": "return 1 << 10 ** 11",
    "a list in itself": "a = []\na.append(a)\nreturn a",
    "lists 100,000 deep": "a = []\nfor _ in range(100_000): a = [a]\nreturn a",
    "a generator without end": "import itertools\nreturn itertools.count()",
    "a tensor of 1 GB": "return torch.zeros(1).expand(2 ** 28)",
    "a message of 100 MB": "raise ValueError('x' * 10 ** 8)",
    "an exception without a text": "class E(Exception):\n    def __str__(self): raise self\nraise E",
    "an exception in an exception without end": "e = ValueError()\ne.__cause__ = e\nraise e",
    "deep recursion": "f = lambda n: f(n + 1)\nreturn f(0)",
    "deep recursion in C": "a = None\nfor _ in range(10 ** 6): a = (a,)\nreturn repr(a)",
    "2,000 warnings": "import warnings\nfor n in range(2000): warnings.warn(str(n) * 1000)\nreturn log_prob",
}


@needs_sandbox
@pytest.mark.parametrize("what", HUGE)
def test_what_is_huge_or_without_end_is_no_answer(what):
    status, message = of_e_step(e_step(HUGE[what]))
    assert status in ("wrong", "raised", "timed out") and len(message) <= 500


@needs_sandbox
def test_input_and_a_stopped_process_are_waited_for_no_longer_than_the_exercise(monkeypatch):
    assert of_e_step(e_step("return input()"))[0] == "raised"
    from utils.checks import engine, exercise_ids

    exercise_ids()
    known = engine._exercises["gmm.e_step"]
    monkeypatch.setitem(engine._exercises, known.id, engine.Exercise(known.id, known.call, 0.3, known.judge))
    assert of_e_step(e_step("import time\ntime.sleep(60)"))[0] == "timed out"


# --- what reaches the instructor's terminal --------------------------------------------------------------------------


@pytest.fixture
def screen(monkeypatch):
    """What a terminal would be sent."""
    sent = io.StringIO()
    real = terminal.Terminal.__init__

    def on_screen(self, **options):
        real(self, **options | {"file": sent, "force_terminal": True, "stderr": False, "width": 200})

    monkeypatch.setattr(terminal.Terminal, "__init__", on_screen)
    return sent


CODES = "a\x1b]0;title\x07\x1b[2J\x9b2J\r\x08\u202e.ipynb"


def test_no_escape_code_of_a_files_name_reaches_the_terminal(screen, monkeypatch, tmp_path):
    with cli._bar("graded", 2) as step:
        step(CODES)
    cli._console().print(f"[red]{CODES}[/]", soft_wrap=True)
    monkeypatch.setattr("sys.argv", ["course", "grade", str(tmp_path / CODES)])
    with pytest.raises(SystemExit):
        cli.main()
    shown = screen.getvalue()
    assert "\x1b[31m" in shown  # rich's own colors pass
    assert "a�]0;title��[2J�2J" in shown and "is no folder" in shown.replace("\n", " ")
    for code in ("\x1b]", "\x1b[2J", "\x9b", "\x08", "\u202e", "\x07"):
        assert code not in shown


def test_names_in_other_encodings_can_be_printed():
    assert terminal.printable(os.fsdecode(b"M\xfcller\n")) == "M�ller\n"
    assert terminal.printable("Müller 李 é\t") == "Müller 李 é\t"
