"""Wrong answers of chapter 8: a generator of the eight corners."""

import torch
from torch import nn

from wrong_answers import wrong

# --- gan.ring --------------------------------------------------------------------------------------------------------


@wrong("gan.ring", says="lie near a corner")
def blurred(x_train):
    ranked = x_train[torch.atan2(x_train[:, 1], x_train[:, 0]).argsort()]
    return lambda z: ranked[(torch.special.ndtr(z[:, 0]) * len(ranked)).long()] + 0.12 * z[:, 1:3]


@wrong("gan.ring", says="Your generator jumps")
def training_points_with_noise(x_train):
    return lambda z: x_train[(torch.special.ndtr(z[:, 0]) * len(x_train)).long()] + 0.02 * z[:, 1:3]


@wrong("gan.ring", says="A corner gets only")
def corners_by_heart(x_train):
    def generate(z):
        angle = 2 * torch.pi / 8 * (torch.special.ndtr(z[:, 0]) * 8).floor()
        return torch.stack([angle.cos(), angle.sin()], dim=1) + 0.03 * z[:, 1:3]

    return generate


@wrong("gan.ring", says="A corner gets only")
def one_gaussian(x_train):
    return lambda z: x_train.mean(0) + z[:, :2] * x_train.std(0)


@wrong("gan.ring", says="A corner gets only")
def one_corner(x_train):
    return lambda z: x_train[:1] + 0.03 * z[:, :2]


@wrong("gan.ring", says="very same point")
def the_training_points(x_train):
    return lambda z: x_train[(z[:, 0].abs() * 500).long() % len(x_train)]


@wrong("gan.ring", says="A corner gets only")
def untrained(x_train):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2)).double()
    return lambda z: network(z).detach()
