"""The course's data: small, real, in the repository, checked before use; nothing is downloaded.

>>> digits = load("digits")
>>> digits.x_train.shape
torch.Size([1297, 1, 8, 8])
>>> load("mnist").binarized().flat()
mnist, binarized: 60000 + 10000 examples of shape (784,), values 0 or 1, 10 classes
"""

from __future__ import annotations

import difflib
import functools
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from utils.checkout import NEEDED, ROOT, is_checkout
from utils.toys import CLASSES, TOYS
from utils.validation import whole

FOLDER = ROOT / "data"
# The binary test set is part of the course: every number measured on it compares with every other one.
BINARY_TRAIN_SEED, BINARY_TEST_SEED = 0, 1
TEST_PART_SEED = 2
DIGIT_NAMES = tuple("0123456789")
CLOTHES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


class DataError(RuntimeError):
    """A data file is missing or is not the file that belongs there.

    Attributes:
        problem: what is wrong, with the file's path.
        fix: what to do about it. The message has both.
    """

    def __init__(self, problem: str, fix: str):
        super().__init__(f"{problem}: {fix}")
        self.problem, self.fix = problem, fix


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Inputs and labels, split once and for all into a training and a test part.

    Attributes:
        name: what it was loaded as.
        x_train, x_test: inputs in float32; images `(B, C, H, W)` in [0, 1], points `(B, D)`.
        y_train, y_test: labels `(B,)` in int64, indices into `classes`.
        classes: a name for each label.
        levels: how many values a pixel can take: `x * (levels - 1)` is a whole number, exactly; `None` for points.
        license: under which license the data may be used, and whom to name.
        source: where the data comes from.
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: tuple[str, ...]
    levels: int | None
    license: str
    source: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.x_train.shape[1:])

    def flat(self) -> Dataset:
        """The same data with each example as a vector: inputs `(B, D)`."""
        return replace(self, x_train=self.x_train.flatten(1), x_test=self.x_test.flatten(1))

    def binarized(self, generator: Generator | None = None) -> Dataset:
        """Black-and-white images: each pixel is 1 with the probability that is its gray value (see `binarize`).

        The test part is always the same draw. The training part is drawn from `generator`, by default from a fixed
        seed; to draw it anew at every step, call `binarize` on the gray batches instead.
        """
        if self.levels is None:
            raise ValueError(f"{self.name!r} has no pixels to binarize: its values are real numbers; use images")
        if self.levels == 2:
            raise ValueError(f"{self.name!r} is binary already: binarize the gray images once")
        if generator is None:
            generator = torch.Generator().manual_seed(BINARY_TRAIN_SEED)
        return replace(
            self,
            name=f"{self.name}, binarized",
            x_train=binarize(self.x_train, generator),
            x_test=binarize(self.x_test, torch.Generator().manual_seed(BINARY_TEST_SEED)),
            levels=2,
        )

    def test_part(self, n: int) -> Tensor:
        """Indices `(n,)` of a fixed random part of the test set: the first `n` of one permutation.

        Take this where a part has to do. The first images of MNIST's test set are easier than its last ones, so that a
        slice from its beginning is no sample of it. The part is the same in every run; a larger one holds a smaller.

        Raises:
            ValueError: for less than one example, or more than the test set has.

        >>> mnist = load("mnist")
        >>> few = mnist.test_part(1000)
        >>> mnist.x_test[few].shape, mnist.y_test[few].shape
        (torch.Size([1000, 1, 28, 28]), torch.Size([1000]))
        """
        n = whole("n", n)
        if n > len(self.x_test):
            raise ValueError(f"the test set of {self.name!r} has {len(self.x_test)} examples: n={n} are too many")
        return torch.randperm(len(self.x_test), generator=torch.Generator().manual_seed(TEST_PART_SEED))[:n]

    def describe(self) -> str:
        """Some lines to read: sizes, range of values, classes, license and source."""
        low, high = (f"{value:.4g}" for value in torch.aminmax(self.x_train))
        counts = torch.bincount(self.y_train, minlength=len(self.classes)).tolist()
        per_class = ", ".join(f"{name}: {count}" for name, count in zip(self.classes, counts, strict=True))
        return "\n".join(
            [
                repr(self),
                f"  training values from {low} to {high}, {str(self.x_train.dtype).removeprefix('torch.')}",
                f"  training examples per class: {per_class}",
                f"  license: {self.license}",
                f"  source: {self.source}",
            ]
        )

    def __repr__(self) -> str:
        if self.levels is None:
            values = "real values"
        elif self.levels == 2:
            values = "values 0 or 1"
        else:
            values = f"{self.levels} gray values in [0, 1]"
        sizes = f"{len(self.x_train)} + {len(self.x_test)} examples of shape {self.shape}"
        return f"{self.name}: {sizes}, {values}, {len(self.classes)} classes"


def load(name: str, *, n: int | None = None, seed: int | None = None) -> Dataset:
    """Load a dataset by its name.

    - ``"digits"``: 8 × 8 handwritten digits with 17 gray values; 1,297 + 500, the test part 50 of each class.
    - ``"mnist"``: 28 × 28 handwritten digits with 256 gray values; 60,000 + 10,000, the official split.
    - ``"fashion"``: Fashion-MNIST, 28 × 28 clothes with 256 gray values; the beginning, 10,000 + 2,000.
    - ``"moons"``, ``"rings"``, ``"spirals"``, ``"checkerboard"``, ``"gaussians"``: points in the plane, drawn anew
      (`utils.toys` has their formulas).

    Args:
        name: one of the above.
        n: points in the training part, and as many in the test part; for the drawn sets only. Default 2000.
        seed: of the draw, which leaves torch's own random state alone; for the drawn sets only. Default 0.

    Raises:
        ValueError: for an unknown name, or for `n` or `seed` where they mean nothing.
        DataError: when the file is missing or damaged.

    >>> load("moons", n=500, seed=3)
    moons: 500 + 500 examples of shape (2,), real values, 2 classes
    """
    if name in TOYS:
        return _toy(name, 2000 if n is None else n, 0 if seed is None else seed)
    if name not in FIXED:
        names = [*FIXED, *TOYS]
        near = difflib.get_close_matches(str(name).lower(), names, n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"expected one of {', '.join(names)}"
        raise ValueError(f"there is no dataset {name!r}: {hint}")
    if n is not None or seed is not None:
        raise ValueError(f"{name!r} is a fixed dataset: n= and seed= are for the drawn ones, {', '.join(TOYS)}")
    return FIXED[name]()


def binarize(x: Tensor, generator: Generator | None = None) -> Tensor:
    """Draw binary images: each pixel is 1 with probability `x` and 0 otherwise, independently.

    Args:
        x: probabilities in [0, 1], any shape.
        generator: where the randomness comes from, on the device of `x`; by default torch's own.

    Returns:
        Zeros and ones in the shape and type of `x`.

    Raises:
        ValueError: for a value outside of [0, 1], or for whole numbers.

    The convention is that of Salakhutdinov and Murray, "On the quantitative analysis of deep belief networks", 2008.
    """
    if not x.is_floating_point():
        raise ValueError(f"binarize takes probabilities in floating point, not {x.dtype}: divide gray values by 255")
    if x.numel():
        low, high = (value.item() for value in torch.aminmax(x))
        # Written so that NaN is refused too.
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"binarize takes probabilities in [0, 1], but the values go from {low:.4g} to {high:.4g}:"
                " scale the gray values first"
            )
    # Much faster than torch.bernoulli; in place, because for all of MNIST each copy is 188 MB.
    return torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device).lt_(x)


def checksums() -> dict[str, str]:
    """The register `data/SHA256SUMS`: file name → SHA-256."""
    register = FOLDER / "SHA256SUMS"
    if not register.is_file():
        raise DataError(f"{register} is missing", _fix("SHA256SUMS") if is_checkout() else NEEDED)
    lines = register.read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines if line.strip())}


def path(name: str) -> Path:
    """Where a file of `data/` is, compared with its registered SHA-256 when a process first asks for it.

    Args:
        name: relative to `data/`, with `/`, as in `data/SHA256SUMS`.

    Raises:
        DataError: when it is missing, not registered or damaged.

    >>> path("bayesnets/alarm.bif.gz").name
    'alarm.bif.gz'
    """
    return _verified(FOLDER, name)


def verify(name: str) -> Path:
    """Compare a file of `data/` with its registered SHA-256, now, and return its path.

    Raises:
        DataError: when it is missing, not registered or different; the message names both sums and the fix.
    """
    file, sums = FOLDER / name, checksums()
    expected = sums.get(name)
    if expected is None:
        near = difflib.get_close_matches(name, sums, n=1)
        fix = f"did you mean {near[0]!r}?" if near else _fix("SHA256SUMS")
        raise DataError(f"{file} is not registered in {FOLDER / 'SHA256SUMS'}", fix)
    if not file.is_file():
        raise DataError(f"{file} is missing", _fix(name))
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != expected:
        raise DataError(f"{file} is damaged: its SHA-256 is {found}, expected {expected}", _fix(name))
    return file


def _fix(name: str) -> str:
    fix = f"get it back with `git checkout -- data/{name}`"
    # One script makes a file, or all files of a folder: bayesnets/asia.bif.gz comes from make/bayesnets.py.
    script = f"make/{Path(name).parts[0].split('.')[0]}.py"
    if (FOLDER / script).is_file():
        fix += f" or make it anew with `python data/{script}`"
    return fix


@functools.cache
def _verified(folder: Path, name: str) -> Path:
    return verify(name)


def _packed(name: str, classes: tuple[str, ...], license: str, source: str) -> Dataset:
    """Training and test part out of an archive of `data/`: gray images from 0 to 255, and labels."""
    with np.load(path(f"{name}.npz"), allow_pickle=False) as arrays:
        x_train, x_test = (_images(arrays[f"x_{part}"], 256) for part in ("train", "test"))
        y_train, y_test = (torch.from_numpy(arrays[f"y_{part}"]).long() for part in ("train", "test"))
    return Dataset(name, x_train, y_train, x_test, y_test, classes=classes, levels=256, license=license, source=source)


def _digits() -> Dataset:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images, labels = _images(images.reshape(-1, 8, 8), 17), torch.from_numpy(labels).long()
    # 50 of each class for the test, evenly spaced in the original order: no random numbers, so never another split,
    # and all thirteen writers are in both parts.
    test = torch.zeros(len(labels), dtype=torch.bool)
    for digit in range(10):
        members = (labels == digit).nonzero().squeeze(1)
        test[members[torch.arange(50) * len(members) // 50]] = True
    return Dataset(
        "digits",
        *(images[~test], labels[~test], images[test], labels[test]),
        classes=DIGIT_NAMES,
        levels=17,
        license="CC BY 4.0, E. Alpaydin and C. Kaynak",
        source="UCI, Optical Recognition of Handwritten Digits, 1998: its test part, as scikit-learn ships it",
    )


def _images(pixels: np.ndarray, levels: int) -> Tensor:
    """Whole numbers `(B, H, W)` from 0 to `levels − 1` as float32 images `(B, 1, H, W)` in [0, 1]."""
    scaled = np.divide(pixels, np.float32(levels - 1), dtype=np.float32)
    return torch.from_numpy(scaled).unsqueeze(1)


def _toy(name: str, n: int, seed: int) -> Dataset:
    n = whole("n", n)
    generator = torch.Generator().manual_seed(seed)
    return Dataset(
        name,
        *TOYS[name](n, generator),
        *TOYS[name](n, generator),
        classes=CLASSES[name],
        levels=None,
        license="MIT, drawn by this course",
        source=f"utils.toys.{name}, n={n}, seed={seed}",
    )


FIXED = {
    "digits": _digits,
    "mnist": functools.partial(
        _packed,
        "mnist",
        DIGIT_NAMES,
        "CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        "LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998",
    ),
    "fashion": functools.partial(
        _packed,
        "fashion",
        CLOTHES,
        "MIT, Zalando SE",
        "Xiao, Rasul, Vollgraf: Fashion-MNIST, 2017, arXiv 1708.07747",
    ),
}
