"""The doctor: a healthy machine is told so, and each illness is found and has its fix in the same line."""

import io
import json
import shutil
import sys
from importlib.metadata import version
from types import SimpleNamespace

import pytest
from rich.console import Console

from utils import data
from utils.course import doctor


def the_failure(check) -> doctor.Finding:
    (finding,) = [finding for finding in check() if not finding.ok]
    assert finding.fix
    return finding


def report(width: int = 40) -> tuple[bool, list[str]]:
    """The verdict and the lines, as they go into a pipe that is narrower than they are long."""
    out = io.StringIO()
    healthy = doctor.run_doctor(Console(file=out, width=width))
    return healthy, out.getvalue().splitlines()


@pytest.fixture
def roomy(monkeypatch):
    """Memory is what a neighbor leaves free; these tests are about something else."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=8 * 2**30))


def test_a_healthy_machine_gets_a_line_a_check(roomy):
    if "newest" in sys.prefix:
        pytest.skip("the environment of NEWEST=1 differs from the lock on purpose, and is told so")
    healthy, lines = report()
    assert healthy, lines
    names = ["course", "Python", "packages", "kernel", "data", "threads", "memory", "GPU", "training", "sandbox"]
    assert [line.split(":")[0] for line in lines] == [f"[ OK ] {name}" for name in names]
    assert "Fix" not in "".join(lines)


def test_a_failure_is_one_plain_line_with_its_fix(monkeypatch):
    sick = doctor.Finding(False, "disk", "0 GiB free [bold]on[/] /tmp " + "x" * 200, "make room")
    monkeypatch.setattr(doctor, "CHECKS", (lambda: [sick], lambda: [doctor.Finding(True, "GPU", "none")]))
    healthy, lines = report()
    assert not healthy
    assert lines == [f"[FAIL] disk: {sick.detail}. Fix: make room", "[ OK ] GPU: none"]


def test_a_check_that_breaks_is_a_finding(monkeypatch):
    def check_disk():
        raise OSError("no\nsuch device")

    monkeypatch.setattr(doctor, "CHECKS", (check_disk, lambda: [doctor.Finding(True, "GPU", "none")]))
    healthy, lines = report()
    assert not healthy
    assert lines == [f"[FAIL] disk: OSError: no such device. Fix: {doctor.INSTALL}", "[ OK ] GPU: none"]


def test_an_old_python(monkeypatch):
    monkeypatch.setattr("platform.python_version", lambda: "3.10.4")
    assert "3.10.4 (>=3.11,<3.15 needed)" in the_failure(doctor.check_python).detail


def test_each_deviating_package_has_its_line(tmp_path, monkeypatch):
    lock = tmp_path / "requirements.lock"
    fine = f"rich=={version('rich')}\nalso-none==1.0 ; sys_platform == 'none'\n"
    lock.write_text("# made\nnumpy==1.0\nno-such-package==1.0\n" + fine)
    monkeypatch.setattr(doctor, "LOCK", lock)
    findings = list(doctor.check_packages())
    assert [finding.ok for finding in findings] == [False, False]
    assert findings[0].detail.startswith("numpy is 2.")
    assert findings[1].detail == "no-such-package is not installed, the lock has ==1.0"
    assert findings[0].fix == doctor.INSTALL


def test_no_kernel(monkeypatch):
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    def none(self, name):
        raise NoSuchKernel(name)

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", none)
    assert "no kernel python3" in the_failure(doctor.check_kernel).detail


def kernelspec(folder, monkeypatch, program):
    """Puts a kernel `python3` before all others."""
    spec = folder / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = [str(program), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "P", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(folder))
    return spec


def test_the_kernel_of_another_environment(tmp_path, monkeypatch):
    spec = kernelspec(tmp_path, monkeypatch, tmp_path / "other" / "bin" / "python")
    finding = the_failure(doctor.check_kernel)
    assert str(tmp_path / "other") in finding.detail
    assert f"remove the folder {spec}" in finding.fix


@pytest.mark.parametrize("program", ["python", "python3", sys.executable])
def test_the_kernel_of_this_environment(tmp_path, monkeypatch, program):
    kernelspec(tmp_path, monkeypatch, program)
    (finding,) = doctor.check_kernel()
    assert finding.ok
    assert finding.detail == f"python3 runs {sys.executable}"


def test_a_kernel_without_ipykernel(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert the_failure(doctor.check_kernel).fix == doctor.INSTALL


def test_damaged_and_missing_data(tmp_path, monkeypatch, repository):
    folder = tmp_path / "data"
    shutil.copytree(repository / "data", folder)
    monkeypatch.setattr(data, "FOLDER", folder)
    with (folder / "mnist.npz").open("ab") as file:
        file.write(b"!")
    finding = the_failure(doctor.check_data)
    assert "mnist.npz is damaged" in finding.detail
    assert "git checkout -- data/mnist.npz" in finding.fix

    (folder / "mnist.npz").unlink()
    assert "mnist.npz is missing" in the_failure(doctor.check_data).detail

    (folder / "SHA256SUMS").unlink()
    monkeypatch.setattr(doctor, "CHECKS", (doctor.check_data,))
    healthy, (line,) = report()
    assert not healthy
    assert "SHA256SUMS is missing. Fix: get it back with `git checkout -- data/SHA256SUMS`" in line


def test_more_threads_than_cores(monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: 512)
    monkeypatch.setenv("OMP_NUM_THREADS", "512")
    finding = the_failure(doctor.check_threads)
    assert "torch uses 512" in finding.detail
    assert "OMP_NUM_THREADS is 512" in finding.detail
    assert "set OMP_NUM_THREADS=" in finding.fix


def test_too_little_memory(monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=3 * 2**30))
    assert the_failure(doctor.check_memory).detail == "3.0 GiB free (4 GiB needed)"


def test_a_gpu_is_named_and_none_is_fine(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert list(doctor.check_gpu()) == [doctor.Finding(True, "GPU", "none, and none is needed")]
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "Fast One")
    assert list(doctor.check_gpu()) == [doctor.Finding(True, "GPU", "Fast One")]


def test_a_slow_machine(monkeypatch):
    monkeypatch.setattr(doctor, "TRAINING_LIMIT", 0.0)
    finding = the_failure(doctor.check_training)
    assert "steps in" in finding.detail
    assert "OMP_NUM_THREADS=1" in finding.fix


def test_a_torch_that_does_not_learn(monkeypatch):
    monkeypatch.setattr("torch.optim.Adam.step", lambda self: None)
    finding = the_failure(doctor.check_training)
    assert "90% expected" in finding.detail
    assert finding.fix.endswith("--force-reinstall")


def test_a_sandbox_that_does_not_start_is_an_instructors_problem(monkeypatch):
    from utils.course.grading import trial

    def fail():
        raise trial.NoSandbox("the sandbox did not start: bwrap: no\npermission", "allow it")

    monkeypatch.setattr(trial, "try_sandbox", fail)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert the_failure(doctor.check_sandbox)[2:] == ("the sandbox did not start: bwrap: no permission", "allow it")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (finding,) = doctor.check_sandbox()
    assert finding.ok and finding.detail.endswith("bwrap: no permission. To grade, allow it")
