"""The data: the right pixels, the same for everyone, and a clear word when a file is not what it should be."""

import dataclasses
import hashlib
import math
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from utils import data, toys
from utils.data import DataError, binarize, load

BINARY_TEST_SHA256 = {
    "mnist": "5fa5d8d13eeb1af3d39e751b38e52f8bb5d7ed5d9a9f3499e334b4142111bba3",
    "digits": "db2d1bbc9a9dd0620c9c9447188d656b4e98559fc5fbcf3769bed81a84f01f82",
}


@pytest.fixture(scope="module")
def mnist():
    return load("mnist")


@pytest.fixture
def folder(tmp_path, monkeypatch, repository):
    """A copy of the data folder, to be damaged."""
    copy = tmp_path / "data"
    shutil.copytree(repository / "data", copy)
    monkeypatch.setattr(data, "FOLDER", copy)
    return copy


@pytest.fixture
def make(repository, monkeypatch):
    """`make(name)`: what a script of data/make/ defines, without running it."""
    import runpy

    scripts = repository / "data" / "make"
    monkeypatch.syspath_prepend(str(scripts))
    return lambda name: runpy.run_path(str(scripts / f"{name}.py"))


def fingerprint(binary):
    """Of zeros and ones, whatever their type."""
    return hashlib.sha256(np.packbits(binary.bool().numpy())).hexdigest()


# --- MNIST and digits


def test_mnist_is_the_official_split(mnist):
    assert mnist.x_train.shape == (60000, 1, 28, 28)
    assert mnist.x_test.shape == (10000, 1, 28, 28)
    assert mnist.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.y_test[:5].tolist() == [7, 2, 1, 0, 4]
    assert mnist.y_train.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.y_test.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_mnist_has_the_official_pixels(mnist, repository):
    # The MD5 sums published for the raw files cover the pixels and a header of 16 bytes.
    for part, count, expected in (
        (mnist.x_train, 60000, "6bbc9ace898e44ae57da46a324031adb"),
        (mnist.x_test, 10000, "2646ac647ad5339dbf082846283269ea"),
    ):
        header = np.array([0x803, count, 28, 28], dtype=">i4").tobytes()
        pixels = (part * 255).to(torch.uint8)
        assert hashlib.md5(header + pixels.numpy().tobytes()).hexdigest() == expected
        # Not merely after rounding: each value times 255 is the pixel.
        assert torch.equal(part[:1000] * 255, pixels[:1000].float())
        assert part.aminmax() == (0.0, 1.0)


def test_fashion_is_the_beginning_of_the_official_split():
    fashion = load("fashion")
    assert fashion.x_train.shape == (10000, 1, 28, 28)
    assert fashion.x_test.shape == (2000, 1, 28, 28)
    assert [fashion.classes[label] for label in fashion.y_train[:3]] == ["ankle boot", "T-shirt", "T-shirt"]
    assert [fashion.classes[label] for label in fashion.y_test[:3]] == ["ankle boot", "pullover", "trousers"]
    assert fashion.x_train.aminmax() == (0.0, 1.0)


def test_every_gray_value_can_be_had_back_exactly():
    for levels in (256, 17):
        pixels = np.arange(levels, dtype=np.uint8).reshape(-1, 1, 1)
        assert torch.equal(data._images(pixels, levels).flatten() * (levels - 1), torch.arange(levels).float())


def test_digits_are_split_once_and_for_all():
    digits = load("digits")
    assert digits.x_train.shape == (1297, 1, 8, 8)
    assert digits.x_test.shape == (500, 1, 8, 8)
    assert digits.y_test.bincount().tolist() == [50] * 10
    assert digits.y_train.bincount().tolist() == [128, 132, 127, 133, 131, 132, 131, 129, 124, 130]
    assert digits.x_test.aminmax() == (0.0, 1.0)
    pixels = torch.cat([digits.x_train, digits.x_test]).flatten(1) * 16
    # Each of the 1,797 images of scikit-learn is in exactly one part.
    from sklearn.datasets import load_digits

    original = load_digits().data
    assert sorted(map(tuple, pixels.tolist())) == sorted(map(tuple, original.tolist()))
    assert torch.equal(digits.x_test[0, 0] * 16, torch.from_numpy(original[0]).float().view(8, 8))


@pytest.mark.parametrize("name", ["digits", *toys.TOYS])
def test_loading_twice_gives_the_same(name):
    first, second = load(name), load(name)
    for part in ("x_train", "y_train", "x_test", "y_test"):
        assert torch.equal(getattr(first, part), getattr(second, part))
        assert getattr(first, part) is not getattr(second, part)  # so that nobody can spoil another's data


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion", *toys.TOYS])
def test_a_dataset_says_what_it_is(name):
    dataset = load(name)
    assert dataset.x_train.dtype == torch.float32
    assert dataset.y_train.dtype == dataset.y_test.dtype == torch.int64
    assert dataset.shape == dataset.x_train.shape[1:] == dataset.x_test.shape[1:]
    assert dataset.y_train.unique().tolist() == list(range(len(dataset.classes)))
    assert repr(dataset).startswith(f"{name}: {len(dataset.x_train)} + {len(dataset.x_test)} examples")
    text = dataset.describe()
    assert dataset.license in text
    assert dataset.source in text
    assert all(len(line) < 200 for line in text.splitlines())
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.name = "other"


def test_flat_keeps_the_values():
    digits = load("digits")
    flat = digits.flat()
    assert flat.shape == (64,)
    assert torch.equal(flat.x_test.view(500, 1, 8, 8), digits.x_test)
    assert digits.shape == (1, 8, 8)


def test_an_unknown_name_lists_near_ones():
    with pytest.raises(ValueError, match=r"no dataset 'MNITS': did you mean 'mnist'"):
        load("MNITS")
    with pytest.raises(ValueError, match=r"no dataset 'cifar10': expected one of digits, mnist, fashion, moons"):
        load("cifar10")


def test_a_fixed_dataset_has_no_size_or_seed():
    for extra in ({"n": 10}, {"seed": 0}):
        with pytest.raises(ValueError, match=r"'digits' is a fixed dataset: n= and seed= are for"):
            load("digits", **extra)
    for n in (0, 2.5):
        with pytest.raises(ValueError, match=f"n is {n}: expected a whole number"):
            load("moons", n=n)


# --- the drawn sets


@pytest.mark.parametrize("name", toys.TOYS)
def test_a_drawn_set_follows_its_seed_alone(name):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    drawn = load(name, n=100, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(load(name, n=100, seed=5).x_train, drawn.x_train)
    assert not torch.equal(load(name, n=100, seed=6).x_train, drawn.x_train)
    assert not torch.equal(drawn.x_test, drawn.x_train)
    assert drawn.x_train.shape == drawn.x_test.shape == (100, 2)


@pytest.mark.parametrize("name", toys.TOYS)
def test_a_drawn_set_is_standardized(name):
    n = 200_000
    drawn = load(name, n=n)
    # Every coordinate stays within ±2.7, so five standard errors of a mean or a variance are below 0.02.
    assert drawn.x_train.abs().max() < 2.7
    assert drawn.x_train.mean(0).abs().max() < 0.02
    assert drawn.x_train.var(0).mean().item() == pytest.approx(1, abs=0.02)
    shares = drawn.y_train.bincount() / n
    assert (shares - 1 / len(drawn.classes)).abs().max() < 0.006


def test_checkerboard_fills_the_dark_squares():
    drawn = load("checkerboard", n=50_000)
    assert drawn.x_train.abs().max() <= math.sqrt(3)
    cells = (drawn.x_train / (math.sqrt(3) / 2) + 2).floor().long().clamp(0, 3)
    assert (cells.sum(1) % 2 == 0).all()
    for label in range(8):
        assert len(cells[drawn.y_train == label].unique(dim=0)) == 1
    assert len(cells.unique(dim=0)) == 8


def test_gaussians_have_the_stated_components():
    drawn = load("gaussians", n=80_000)
    radius = math.sqrt(2 * (1 - toys.GAUSSIANS_NOISE**2))
    for k in range(8):
        part = drawn.x_train[drawn.y_train == k]
        mean = radius * torch.tensor([math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)])
        assert torch.allclose(part.mean(0), mean, atol=0.01)
        assert torch.allclose(part.T.cov(), toys.GAUSSIANS_NOISE**2 * torch.eye(2), atol=0.001)


def test_the_curves_are_where_their_formulas_say():
    """The distance from the noiseless curve has the noise's standard deviation, up to the curvature."""
    rings = load("rings", n=50_000)
    unit = math.sqrt((1 - toys.RINGS_NOISE**2) * 3 / 7)
    residual = rings.x_train.norm(dim=1) - unit * (1 + rings.y_train)
    assert residual.std().item() == pytest.approx(toys.RINGS_NOISE, rel=0.05)

    moons = load("moons", n=50_000)
    scale = math.sqrt((1 - toys.MOONS_NOISE**2) / ((3 / 4 + 9 / 16 - 1 / math.pi) / 2))
    centers = scale * torch.tensor([[-0.5, -0.25], [0.5, 0.25]])
    away = moons.x_train - centers[moons.y_train]
    assert (away.norm(dim=1) - scale).std().item() == pytest.approx(toys.MOONS_NOISE, rel=0.05)
    # The upper moon opens downwards, the lower one upwards.
    assert away[moons.y_train == 0][:, 1].min() > -5 * toys.MOONS_NOISE
    assert away[moons.y_train == 1][:, 1].max() < 5 * toys.MOONS_NOISE

    spirals = load("spirals", n=50_000)
    x = torch.where(spirals.y_train[:, None] == 0, spirals.x_train, -spirals.x_train)
    radius = x.norm(dim=1)
    angle = torch.atan2(x[:, 1], x[:, 0])
    expected = 3 * math.pi * radius / (2 * math.sqrt(1 - toys.SPIRALS_NOISE**2))
    off = torch.remainder(angle - expected + math.pi, 2 * math.pi) - math.pi
    outer = radius > 1  # near the origin the noise turns the angle too far
    assert (off[outer].abs() < 5 * toys.SPIRALS_NOISE * (1 + 3 * math.pi / 2)).all()
    assert off[outer].mean().abs() < 0.02


# --- binary images


def test_binarize_draws_each_pixel_with_its_own_probability():
    generator = torch.Generator().manual_seed(0)
    p = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0], dtype=torch.float64)
    n = 100_000
    drawn = binarize(p.expand(n, 5), generator)
    assert drawn.dtype == torch.float64
    assert drawn.unique().tolist() == [0, 1]
    standard_error = (p * (1 - p) / n).sqrt()
    assert ((drawn.mean(0) - p).abs() <= 5 * standard_error).all()
    # Independent: no two columns that vary are correlated.
    correlation = drawn[:, 1:4].T.corrcoef() - torch.eye(3)
    assert correlation.abs().max() < 5 / math.sqrt(n)


def test_binarize_takes_its_randomness_from_the_generator():
    x = torch.full((1000,), 0.5)
    state = torch.get_rng_state()
    first = binarize(x, torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(binarize(x, torch.Generator().manual_seed(3)), first)
    assert not torch.equal(binarize(x, torch.Generator().manual_seed(4)), first)
    assert binarize(torch.empty(0, 4)).shape == (0, 4)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.tensor([0.0, 255.0]), r"probabilities in \[0, 1\], but the values go from 0 to 255"),
        (torch.tensor([-0.1, 0.5]), r"values go from -0\.1 to 0\.5"),
        (torch.tensor([0.5, math.nan]), r"go from nan to nan"),
        (torch.tensor([0, 1], dtype=torch.uint8), r"not torch\.uint8: divide gray values by 255"),
    ],
)
def test_binarize_refuses_what_is_no_probability(bad, message):
    with pytest.raises(ValueError, match=message):
        binarize(bad)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_the_binary_test_set_is_the_same_for_everyone(name):
    gray = load(name)
    torch.manual_seed(7)
    binary = gray.binarized()
    other = gray.binarized(torch.Generator().manual_seed(9))
    assert fingerprint(binary.x_test) == BINARY_TEST_SHA256[name]
    assert torch.equal(other.x_test, binary.x_test)
    assert torch.equal(gray.binarized().x_train, binary.x_train)
    assert not torch.equal(other.x_train, binary.x_train)
    assert binary.levels == 2
    assert torch.equal(binary.y_test, gray.y_test)
    assert fingerprint(gray.flat().binarized().x_test) == BINARY_TEST_SHA256[name]


def test_the_binary_test_set_is_the_same_in_another_process():
    code = (
        "import hashlib, numpy, torch; torch.set_num_threads(1); torch.manual_seed(11);"
        "from utils.data import load; x = load('digits').binarized().x_test;"
        "print(hashlib.sha256(numpy.packbits(x.bool().numpy())).hexdigest())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == BINARY_TEST_SHA256["digits"]


def test_a_part_of_the_test_set_is_one_fixed_random_part(mnist):
    part = mnist.test_part(4000)
    assert part.shape == (4000,) and part.dtype == torch.int64 and len(part.unique()) == 4000
    torch.manual_seed(5)
    assert torch.equal(mnist.test_part(np.int64(1000)), part[:1000])
    assert torch.equal(mnist.flat().binarized().test_part(4000), part)
    assert torch.equal(mnist.test_part(10000).sort().values, torch.arange(10000))
    # From all over the set: the share of its first half is that of a random part, within five standard deviations.
    assert abs((part < 5000).double().mean() - 0.5) < 5 * (0.25 / 4000 * 0.6) ** 0.5


@pytest.mark.parametrize("bad", [0, -1, 2.5, 501])
def test_a_part_of_the_test_set_has_a_sensible_size(bad):
    with pytest.raises(ValueError, match=r"n is|n=501 are too many"):
        load("digits").test_part(bad)


def test_binary_is_for_gray_images():
    with pytest.raises(ValueError, match="'moons' has no pixels"):
        load("moons").binarized()
    with pytest.raises(ValueError, match="is binary already"):
        load("digits").binarized().binarized()


# --- the files


def test_a_damaged_file_names_both_sums_and_the_fix(folder):
    file = folder / "mnist.npz"
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    expected = data.checksums()["mnist.npz"]
    with pytest.raises(DataError) as caught:
        load("mnist")
    message = str(caught.value)
    for part in (
        str(file),
        hashlib.sha256(raw).hexdigest(),
        expected,
        "`git checkout -- data/mnist.npz`",
        "`python data/make/mnist.py`",
    ):
        assert part in message


def test_a_missing_file_names_the_fix(folder):
    (folder / "mnist.npz").unlink()
    with pytest.raises(DataError, match=r"mnist\.npz is missing: get it back with `git checkout -- data/mnist\.npz`"):
        load("mnist")
    (folder / "SHA256SUMS").write_text("")
    with pytest.raises(DataError, match=r"mnist\.npz is not registered .*`git checkout -- data/SHA256SUMS`"):
        load("mnist")
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(DataError, match=r"SHA256SUMS is missing"):
        load("mnist")


def test_a_file_is_verified_once_in_a_process(folder, monkeypatch):
    calls = []
    verify = data.verify
    monkeypatch.setattr(data, "verify", lambda name: calls.append(name) or verify(name))
    load("mnist")
    load("mnist")
    assert calls == ["mnist.npz"]


def test_data_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert data.verify("mnist.npz").is_absolute()
    assert load("mnist").y_test[0] == 7


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("bayesnets/alarm.bif.gz", "data/make/bayesnets.py"),
        ("movielens/movielens.npz", "data/make/movielens.py"),
        ("election_study.csv", "data/make/election_study.py"),
    ],
)
def test_path_knows_files_in_folders(folder, name, script):
    file = data.path(name)
    assert file == folder / name
    file.write_bytes(file.read_bytes() + b" ")
    assert data.path(name) == file  # compared once a process
    with pytest.raises(DataError, match="is damaged") as caught:
        data.verify(name)
    assert f"`git checkout -- data/{name}` or make it anew with `python {script}`" in str(caught.value)
    file.unlink()
    with pytest.raises(DataError, match="is missing"):
        data.verify(name)


def test_path_names_the_file_that_was_meant():
    with pytest.raises(
        DataError, match=r"is not registered in .*SHA256SUMS: did you mean 'bayesnets/alarm\.bif\.gz'\?"
    ):
        data.path("bayesnets/alarm.bif")


def test_register_readme_and_files_agree(repository):
    folder = repository / "data"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    pages = {"README.md", "SHA256SUMS", "movielens/README.txt"}
    assert pages <= names
    sums = data.checksums()
    assert set(sums) == {name for name in names - pages if not name.startswith("make/")}
    readme = (folder / "README.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", readme, flags=re.MULTILINE | re.DOTALL))
    for name, digest in sums.items():
        assert data.verify(name) == folder / name
        inside, _, file = name.rpartition("/")
        section = sections[f"{inside}/" if inside else name]
        assert f"| SHA-256 | `{digest}` |" in section or f"| SHA-256 of `{file}` | `{digest}` |" in section
        assert f"`{file}`" in section or not inside
        for row in ("Origin", "Obtained from", "License", "Attribution", "Made by"):
            assert f"\n| {row} | " in section
        (script,) = re.findall(r"`python (data/make/\S+)`", section)
        assert (repository / script).is_file()
    # The license in the code is the license on the page.
    assert load("mnist").license.split(",")[0] in sections["mnist.npz"]
    assert "CC BY 4.0" in load("digits").license
    assert "CC BY 4.0" in readme


@pytest.mark.parametrize("name", ["bayesnets", "election_study"])
def test_what_comes_from_an_installed_package_is_made_again(name, tmp_path, repository, make):
    """The scripts run as they are, on a copy of the folder: the same bytes, the same register."""
    shutil.copytree(repository / "data" / "make", tmp_path / "make")
    run = [sys.executable, str(tmp_path / "make" / f"{name}.py")]
    subprocess.run(run, check=True, capture_output=True)
    sums = (tmp_path / "SHA256SUMS").read_text()
    assert sums
    assert set(sums.splitlines()) <= set((repository / "data" / "SHA256SUMS").read_text().splitlines())
    for line in sums.splitlines():
        made = line.split()[1]
        assert (tmp_path / made).read_bytes() == (repository / "data" / made).read_bytes()
    with pytest.raises(SystemExit, match=r"numpy .* is installed, but the files are made from numpy 0\.1"):
        make("files")["require"]("numpy", "0.1")


def test_the_election_study_is_what_the_package_has(repository):
    import pandas as pd
    from statsmodels.datasets import anes96

    table = pd.read_csv(data.path("election_study.csv"))
    original = anes96.load_pandas().data
    assert table.shape == (944, 10)
    assert (table == original[list(table.columns)]).all(axis=None)
    page = (repository / "data" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{column}`" in page for column in table)


def test_the_reader_of_r_files(make):
    """`read_r` on bytes put together by hand, as R's manual describes them: a data frame of two columns."""
    from struct import pack

    def text(value):
        return pack(">ii", 0x40009, len(value)) + value

    def strings(*values):
        return pack(">ii", 16, len(values)) + b"".join(map(text, values))

    def symbol(value):
        return pack(">i", 1) + text(value)

    end = pack(">i", 254)
    levels = pack(">i", 0x402) + symbol(b"levels") + strings(b"Drama", b"War")
    factor = pack(">iiii", 0x30D, 2, 2, 1) + levels + end
    reals = pack(">iidd", 14, 2, 0.5, 5.0)
    missing = pack(">ii", 16, 2) + text(b"Caf\xc3\xa9") + pack(">ii", 9, -1)
    # The name `levels` comes a second time as a reference to the first symbol.
    attributes = pack(">i", 0x402) + symbol(b"names") + strings(b"genres", b"stars", b"title")
    attributes += pack(">i", 0x402) + pack(">i", 1 << 8 | 255) + strings(b"again") + end
    head = b"X\n" + pack(">iii", 3, 0x40101, 0x30500) + pack(">i", 5) + b"UTF-8"
    read_r = make("movielens")["read_r"]
    columns, names = read_r(head + pack(">ii", 0x313, 3) + factor + reals + missing + attributes)
    assert names == {"names": ["genres", "stars", "title"], "levels": ["again"]}
    assert columns[0][0].tolist() == [2, 1]
    assert columns[0][1] == {"levels": ["Drama", "War"]}
    assert columns[1].tolist() == [0.5, 5]
    assert columns[2] == ["Café", None]
    with pytest.raises(ValueError, match="not R's binary format"):
        read_r(b"A\n" + bytes(12))
    with pytest.raises(ValueError, match="R's type 3 at byte"):
        read_r(head + pack(">ii", 3, 0))


def test_the_table_of_films_becomes_arrays(make):
    """The columns of the package's table → the arrays of the file, on the real numbers of users and films."""
    script = make("movielens")
    n, films, users = 100_004, 9066, 671
    which = np.arange(n) % films
    numbers = 3 * np.arange(films)
    numbers[:2] = 108548, 108583  # two whose title the package has lost
    frame = {
        "movieId": numbers[which],
        "userId": np.arange(n) % users + 1,
        "rating": np.arange(n) % 10 / 2 + 0.5,
        "title": [None if film < 2 else "A Film" for film in which],
        "year": np.full(n, 1999),
        "genres": (which % 2 + 1, {"levels": ["Drama", "War"]}),
    }
    made = script["arrays"](frame)
    assert np.array_equal(np.unique(frame["movieId"])[made["film"]], frame["movieId"])
    assert np.array_equal(made["user"], frame["userId"] - 1)
    assert np.array_equal(made["half_stars"] / 2, frame["rating"])
    lost = int(np.searchsorted(np.unique(frame["movieId"]), 108548))
    assert made["title"][lost] == "Big Bang Theory, The (2007-)"
    assert (made["title"] == "A Film (1999)").sum() == films - 2
    assert (made["genres"][made["film"]] == np.array(["Drama", "War"])[frame["genres"][0] - 1]).all()
    with pytest.raises(ValueError, match=r"the stars are not 0\.5, 1, \.\.\. 5"):
        script["arrays"](frame | {"rating": frame["rating"] + 0.5})
    with pytest.raises(ValueError, match="by 670 users of 9066 films: not the set expected"):
        script["arrays"](frame | {"userId": np.arange(n) % 670})


def test_the_script_makes_the_same_archive_again(tmp_path, repository, mnist, make):
    """All of `data/make/mnist.py` but the download: same arrays, same file structure, registered under its sum."""
    import zipfile

    script = make("mnist")
    small = {"x_test": (mnist.x_test[:100, 0] * 255).to(torch.uint8).numpy(), "y_test": np.arange(3, dtype=np.uint8)}
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    script["write_npz"](first, small)
    script["write_npz"](second, small)
    assert first.read_bytes() == second.read_bytes()
    with np.load(first, allow_pickle=False) as arrays:
        assert all(np.array_equal(arrays[key], small[key]) for key in small)
    with zipfile.ZipFile(repository / "data" / "mnist.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}

    script["register"](second, tmp_path)
    script["register"](first, tmp_path)
    inner = tmp_path / "folder" / "inner.npz"
    script["write_npz"](inner, small)
    script["register"](inner, tmp_path)
    second.write_bytes(b"other")
    digest = script["register"](second, tmp_path)
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert lines[2] == f"{hashlib.sha256(b'other').hexdigest()}  second.npz" == f"{digest}  second.npz"
    assert [line.split()[1] for line in lines] == ["first.npz", "folder/inner.npz", "second.npz"]

    idx = b"\0\0\x08\x02" + np.array([2, 3], dtype=">i4").tobytes() + bytes(range(6))
    assert script["read_idx"](idx).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="not an idx file"):
        script["read_idx"](b"\x1f\x8b\0\0")
