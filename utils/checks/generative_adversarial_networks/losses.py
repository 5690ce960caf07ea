"""Checks of chapter 8: the losses of the game, their slopes and what they measure."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import exercise
from utils.checks.expect import Mistake, close, number, parts, tensor
from utils.checks.variations import of_inputs, of_steps, of_terms
from utils.checks.verdicts import Wrong


@exercise("gan.optimal_discriminator", call="optimal_discriminator(log_p, log_q)")
def optimal_discriminator(answer: Callable, generator: Generator) -> None:
    log_p, log_q = 2 * draw.normal(generator, 6), 2 * draw.normal(generator, 6)
    p, q = log_p.exp(), log_q.exp()
    truth = p / (p + q)
    close(
        tensor(answer(log_p, log_q), (6,)),
        truth,
        [
            Mistake(1 - truth, "This is the probability of a fake: q / (p + q).", "The data's density is on top."),
            Mistake(log_p - log_q, "This is the logit, log p − log q.", "A probability is its sigmoid."),
            Mistake(p / q, "This is the ratio p / q.", "Divide by p + q."),
            Mistake(log_p / (log_p + log_q), "You put the logarithms in the place of the densities.", "D* = p/(p+q)."),
            Mistake(truth.log(), "This is log D*.", "Return the probability."),
            Mistake(p, "This is the density p.", "Divide by p + q."),
            Mistake((p - q).sigmoid(), "You take the sigmoid of the difference of densities.", "Of log p − log q."),
            Mistake((log_p + log_q).sigmoid(), "You add the logarithms of the densities.", "log p − log q."),
            Mistake(log_p.sigmoid(), "The density q is missing.", "Divide by p + q."),
            Mistake(log_p.softmax(0), "You divide by a sum over the batch.", "Each example by its own p + q."),
            Mistake((log_p > log_q).double(), "You say which density is larger.", "Return the probability."),
        ],
    )
    hint = "Divide p/(p+q) by p: it is σ(log p − log q)."
    says = "Where both densities underflow you divide 0 by 0."
    far = tensor(answer(log_p - 1000, log_q - 1000), (6,), not_finite=(says, hint))
    small = "A small number below the fraction outweighs the densities where both are tiny, or you put 0 in for 0/0."
    cut = "You cut the logarithms off, or you put ½ in for 0/0: far from both densities all examples look alike."
    no_floor = "No `+ 1e-8`, no `clamp`, no `nan_to_num`."
    wrong = [Mistake(0 * truth, small, f"{no_floor} {hint}"), Mistake(0 * truth + 0.5, cut, f"{no_floor} {hint}")]
    close(far, truth, wrong, hint=hint)
    shift = torch.tensor([-1500.0, 0.0, 900.0, -700.0, 300.0, -90.0], dtype=torch.float64)
    says = "You scale all examples by one maximum: where both densities are far below it you divide 0 by 0."
    far = tensor(answer(log_p + shift, log_q + shift), (6,), not_finite=(says, hint))
    close(far, truth, name="the probability where the examples differ by hundreds of nats", hint=hint)
    apart = torch.tensor([1000.0, -1000.0, -11.0], dtype=torch.float64)
    says = "Where one density is by far the larger the ratio p/q overflows."
    far = tensor(answer(apart, 0 * apart), (3,), not_finite=(says, hint))
    close(far, apart.sigmoid(), name="the probability where one density is by far the larger", hint=hint)


@exercise("gan.discriminator_loss", call="discriminator_loss(real, fake)")
def discriminator_loss(answer: Callable, generator: Generator) -> None:
    real, fake = 1 + draw.normal(generator, 5), draw.normal(generator, 8) - 1
    on_real, on_fake = -real.sigmoid().log(), -(1 - fake.sigmoid()).log()
    truth = on_real.mean() + on_fake.mean()
    swapped = -(1 - real.sigmoid()).log().mean() - fake.sigmoid().log().mean()
    both_real = on_real.mean() - fake.sigmoid().log().mean()
    smoothing = "You smooth the labels: a real example should be real without reserve."
    smoothed = [
        value
        for share in (0.05, 0.1, 0.2)
        for value in (
            truth - share * on_real.mean(),
            truth + share * real.mean(),  # −log(1 − σ) is −log σ plus the logit
            truth + share * (real.mean() - fake.mean()),
        )
    ]
    each_by_its_own = "You divide both sums by the size of one batch."
    close(
        number(answer(real, fake), "the loss"),
        truth,
        [
            Mistake(
                -truth, "The sign is wrong: this falls when the discriminator is wrong.", "Minus in front of each log."
            ),
            Mistake(truth / 2, "You average the two parts: a factor 2 is missing.", "Add the two means."),
            Mistake(on_real.sum() + on_fake.sum(), "These are sums.", "Take the mean over each batch."),
            Mistake(
                torch.cat([on_real, on_fake]).mean(), "You average over both batches together.", "Add the two means."
            ),
            Mistake(
                2 * torch.cat([on_real, on_fake]).mean(),
                "You average over both batches together.",
                "Add the two means.",
            ),
            Mistake(swapped, "Real and fake are swapped.", "−log σ for real ones, −log(1 − σ) for fakes."),
            Mistake(both_real, "Fakes are treated as real ones.", "For fakes it is −log(1 − σ)."),
            Mistake(on_real.mean(), "The fakes are missing.", "Add −log(1 − σ) of the fakes."),
            Mistake(on_fake.mean(), "The real ones are missing.", "Add −log σ of the real ones."),
            Mistake(on_real.mean() - on_fake.mean(), "The fakes' part has the wrong sign.", "Both parts are added."),
            Mistake((1 - real.sigmoid()).mean() + fake.sigmoid().mean(), "The logarithms are missing.", "−log σ."),
            Mistake(fake.mean() - real.mean(), "This is the Wasserstein loss.", "Here it is −log σ and −log(1 − σ)."),
            Mistake((1 - real).relu().mean() + (1 + fake).relu().mean(), "This is the hinge loss.", "Asked is −log σ."),
            Mistake((real - 1).square().mean() + fake.square().mean(), "This is the least-squares loss.", "−log σ."),
            Mistake(
                on_real.mean() + fake.sigmoid().log().mean(),
                "You add log σ of the fakes, which is the generator's wish.",
                "For fakes it is −log(1 − σ).",
            ),
            Mistake((on_real.sum() + on_fake.sum()) / 5, each_by_its_own, "Two batches, two means."),
            Mistake((on_real.sum() + on_fake.sum()) / 8, each_by_its_own, "Two batches, two means."),
            Mistake(on_real.mean() + on_fake.sum(), "You sum over the fakes.", "Take the mean over each batch."),
            Mistake(on_real.sum() + on_fake.mean(), "You sum over the real ones.", "Take the mean over each batch."),
            Mistake(truth / math.log(2), "This is in bits.", "The natural logarithm."),
            Mistake(
                -real.sigmoid().mean().log() - (1 - fake.sigmoid()).mean().log(),
                "You take the logarithm of the mean probability.",
                "First the logarithm for each example, then the mean.",
            ),
            Mistake(
                -real.mean().sigmoid().log() - (1 - fake.mean().sigmoid()).log(),
                "You take the loss of the mean logit.",
                "First the loss of each example, then the mean.",
            ),
            Mistake(
                -real.sigmoid().sigmoid().log().mean() - (1 - fake.sigmoid().sigmoid()).log().mean(),
                "There is a sigmoid too many.",
                "`logsigmoid` and the losses `with_logits` take the logits themselves.",
            ),
            *(Mistake(value, smoothing, "Real examples have the label 1, fakes 0.") for value in smoothed),
        ],
        name="the loss",
        varied=lambda: (
            *of_terms({"of the real ones": on_real.mean(), "of the fakes": on_fake.mean()}),
            *of_inputs(
                lambda real, fake: -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean(),
                real=real,
                fake=fake,
            ),
        ),
    )
    sure = torch.tensor([1000.0, -1000.0], dtype=torch.float64)
    try:
        value = number(answer(sure, sure), "the loss")
    except Wrong:
        raise Wrong(
            "A very sure discriminator makes the loss infinite or NaN.",
            "log σ(ℓ) = logsigmoid(ℓ), and log(1 − σ(ℓ)) = logsigmoid(−ℓ).",
        ) from None
    if abs(value - 100) < 1:
        raise Wrong(
            "The loss of a very sure discriminator stops at 100: `binary_cross_entropy` cuts the logarithm at −100.",
            "Stay with the logits: `logsigmoid`, `softplus` or `binary_cross_entropy_with_logits`.",
        )
    if value < 999:
        raise Wrong(
            f"The loss of a very sure and wrong discriminator should be 1000, not {value:.4g}: it is cut off.",
            "No `clamp` and no small number inside the logarithm: `logsigmoid` is safe without.",
        )
    close(value, torch.tensor(1000.0, dtype=torch.float64), name="the loss for logits of ± 1000")


@exercise("gan.generator_slopes", call="generator_slopes(fake)")
def generator_slopes(answer: Callable, generator: Generator) -> None:
    fake = 2 * draw.normal(generator, 7)
    leaf = fake.clone().requires_grad_()
    (minimax,) = torch.autograd.grad((1 - leaf.sigmoid()).log().sum(), leaf)
    (saturating_not,) = torch.autograd.grad(-leaf.sigmoid().log().sum(), leaf)
    first, second = parts(answer(fake), ("minimax slope", "non-saturating slope"))
    first = tensor(first, (7,), name="the minimax slope")
    second = tensor(second, (7,), name="the non-saturating slope")
    swapped = "The two slopes are swapped."
    first_hint = "m' = −σ(1 − σ) / (1 − σ)."
    product = "This is the slope of σ itself: the logarithm is missing."
    value = (1 - fake.sigmoid()).log()
    close(
        first,
        minimax,
        [
            Mistake(saturating_not, swapped, "Minimax comes first."),
            Mistake(-minimax, "The minimax slope has the wrong sign.", "log(1 − σ) falls as ℓ grows."),
            Mistake(-fake.sigmoid() * (1 - fake.sigmoid()), product, first_hint),
            Mistake(fake.sigmoid() * (1 - fake.sigmoid()), product, first_hint),
            Mistake(
                -1 / (1 - fake.sigmoid()),
                "The inner derivative is missing: you differentiate by σ, not by ℓ.",
                "Multiply by σ' = σ(1 − σ).",
            ),
            Mistake(value, "This is the loss, not its slope.", "Differentiate by ℓ."),
        ],
        name="the minimax slope",
        hint=first_hint,
    )
    close(
        second,
        saturating_not,
        [
            Mistake(-saturating_not, "The non-saturating slope has the wrong sign.", "−log σ falls as ℓ grows."),
            Mistake(
                -1 / fake.sigmoid(),
                "The inner derivative is missing: you differentiate by σ, not by ℓ.",
                "Multiply by σ' = σ(1 − σ).",
            ),
            Mistake(-fake.sigmoid(), "The non-saturating slope is that of the minimax loss.", "s' = −(1 − σ)."),
            Mistake(-fake.sigmoid() * (1 - fake.sigmoid()), product, "s' = −σ(1 − σ) / σ."),
            Mistake(fake.sigmoid() * (1 - fake.sigmoid()), product, "s' = −σ(1 − σ) / σ."),
            Mistake(-fake.sigmoid().log(), "This is the non-saturating loss, not its slope.", "Differentiate by ℓ."),
        ],
        name="the non-saturating slope",
        hint="s' = −σ(1 − σ) / σ.",
    )
    says = "The slopes are not finite where the discriminator is sure."
    sure = torch.tensor([-1000.0, 1000.0], dtype=torch.float64)
    for slope, truth in zip(answer(sure), ([0.0, -1.0], [-1.0, 0.0]), strict=True):
        slope = tensor(slope, (2,), not_finite=(says, "Cancel the fraction before you compute it."))
        truth = torch.tensor(truth, dtype=torch.float64)
        close(slope, truth, name="the slope at ℓ = ± 1000", hint="No `clamp` of the logits is needed.")


def _entropy(p: Tensor) -> Tensor:
    return -torch.xlogy(p, p).sum()


@exercise("gan.js_divergence", call="js_divergence(p, q)")
def js_divergence(answer: Callable, generator: Generator) -> None:
    p, q = draw.weights(generator, 2, 5)
    m = (p + q) / 2

    def kl(a: Tensor, b: Tensor) -> Tensor:
        return (a * (a / b).log()).sum()

    truth = (kl(p, m) + kl(q, m)) / 2
    close(
        number(answer(p, q), "the divergence"),
        truth,
        [
            Mistake(2 * truth, "The two halves are missing: you add the divergences.", "½ KL(p‖m) + ½ KL(q‖m)."),
            Mistake((kl(p, q) + kl(q, p)) / 2, "You compare p and q with each other.", "Compare each with m."),
            Mistake(kl(p, q), "This is KL(p‖q).", "Compare p and q with their middle m."),
            Mistake(kl(q, p), "This is KL(q‖p).", "Compare p and q with their middle m."),
            Mistake(kl(q, m), "The part of p is missing.", "½ KL(p‖m) + ½ KL(q‖m)."),
            Mistake(kl(q, m) / 2, "The part of p is missing.", "½ KL(p‖m) + ½ KL(q‖m)."),
            Mistake(truth - math.log(2), "Your m is p + q: its ½ is missing.", "m = ½ (p + q) sums to 1."),
            Mistake((p - q).abs().sum() / 2, "This is the total variation.", "½ KL(p‖m) + ½ KL(q‖m)."),
            Mistake(truth / len(p), "You average over the values.", "KL is a sum: Σ p log(p/m)."),
            Mistake(kl(p, m), "The part of q is missing.", "½ KL(p‖m) + ½ KL(q‖m)."),
            Mistake(kl(p, m) / 2, "The part of q is missing.", "½ KL(p‖m) + ½ KL(q‖m)."),
            Mistake((kl(m, p) + kl(m, q)) / 2, "The arguments of KL are swapped: m stands behind.", "KL(p‖m)."),
            Mistake(truth / math.log(2), "This is in bits.", "Nats: the natural logarithm."),
            Mistake(truth.sqrt(), "This is the Jensen–Shannon distance, the root of the divergence.", "No root."),
            Mistake(
                2 * truth - math.log(4),
                "This is the value of the game, 2 JS − log 4; or you add the divergences from p + q without its ½.",
                "JS alone: ½ KL(p‖m) + ½ KL(q‖m), with m = ½ (p + q).",
            ),
            Mistake(-truth, "The sign is wrong: a divergence is not negative.", "Σ p log(p/m)."),
        ],
        name="the divergence",
        varied=lambda: (
            *of_terms({"½ KL(p‖m)": kl(p, m) / 2, "½ KL(q‖m)": kl(q, m) / 2}),
            *of_terms({"H(m)": _entropy(m), "−½ H(p)": -_entropy(p) / 2, "−½ H(q)": -_entropy(q) / 2}),
            *of_steps(
                lambda first, second, half: (kl(p, first) + kl(q, second)) * half,
                {"the m of KL(p‖m)": m, "the m of KL(q‖m)": m, "½": 0.5},
            ),
            *of_steps(lambda m: (kl(p, m) + kl(q, m)) / 2, {"m": m}),
            *of_steps(
                lambda m, p, q: _entropy(m) - (_entropy(p) + _entropy(q)) / 2,
                {"m in H(m)": m, "p in H(p)": p, "q in H(q)": q},
            ),
            *of_inputs(
                lambda p, q: _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2,
                p=p,
                q=q,
            ),
        ),
    )
    apart = torch.tensor([0.5, 0.5, 0.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 0.0, 0.3, 0.7]).double()
    try:
        value = number(answer(*apart), "the divergence")
    except Wrong:
        raise Wrong("A probability of 0 makes the divergence NaN.", "0 log 0 = 0: `torch.xlogy` knows it.") from None
    close(value, torch.tensor(math.log(2.0), dtype=torch.float64), name="the divergence of two that share nothing")
    # A value that neither ever takes, beside values of one alone.
    both = torch.cat([p, torch.zeros(2).double()]), torch.cat([q, torch.zeros(2).double()])
    not_finite = ("A value that has probability 0 in both makes the divergence NaN: there p/m is 0/0.", "0 log 0 = 0.")
    value = number(answer(*both), "the divergence", not_finite=not_finite)
    close(value, truth, name="the divergence where some values have probability 0 in both")


@exercise("gan.hinge_losses", call="hinge_losses(real, fake)")
def hinge_losses(answer: Callable, generator: Generator) -> None:
    real, fake = 2 + 2 * draw.normal(generator, 30), 2 * draw.normal(generator, 40) - 2
    of_discriminator, of_generator = parts(answer(real, fake), ("discriminator's loss", "generator's loss"))
    first = (1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean()
    close(
        number(of_discriminator, "the discriminator's loss"),
        first,
        [
            Mistake(
                (1 + real).clamp(min=0).mean() + (1 - fake).clamp(min=0).mean(),
                "Real and fake are swapped.",
                "Real ones should be above 1.",
            ),
            Mistake((1 - real).mean() + (1 + fake).mean(), "The hinge is missing.", "max(0, ·): `relu`."),
            Mistake(
                (1 - real).mean().clamp(min=0) + (1 + fake).mean().clamp(min=0),
                "You take the maximum of the mean.",
                "First max(0, ·) for each example, then the mean.",
            ),
            Mistake(
                (-real).clamp(min=0).mean() + fake.clamp(min=0).mean(),
                "The margin of 1 is missing.",
                "max(0, 1 − f) and max(0, 1 + f).",
            ),
            Mistake(first / 2, "You average the two parts.", "Add them."),
            Mistake(
                (1 - real).relu().square().mean() + (1 + fake).relu().square().mean(),
                "You square the hinges.",
                "max(0, ·) as it is.",
            ),
            Mistake(
                2 * torch.cat([(1 - real).relu(), (1 + fake).relu()]).mean(),
                "You average over both batches together, and double: right only for batches of one size.",
                "Add the two means.",
            ),
            Mistake((1 - real).relu().mean(), "The fakes are missing.", "Add the mean of max(0, 1 + f)."),
            Mistake((1 + fake).relu().mean(), "The real ones are missing.", "Add the mean of max(0, 1 − f)."),
            Mistake((1 - real).relu().mean() - (1 + fake).relu().mean(), "You subtract the fakes' part.", "Add it."),
            Mistake(
                torch.cat([(1 - real).relu(), (1 + fake).relu()]).mean(),
                "You average over both batches together.",
                "Add the two means.",
            ),
            Mistake(
                torch.nn.functional.softplus(1 - real).mean() + torch.nn.functional.softplus(1 + fake).mean(),
                "Your hinge is smooth: this is softplus.",
                "max(0, ·): `relu`.",
            ),
            Mistake(-fake.mean(), "The two losses are swapped.", "The discriminator's comes first."),
            Mistake((1 - real).clamp(min=0).sum() + (1 + fake).clamp(min=0).sum(), "These are sums.", "Use means."),
            Mistake(
                (1 - real.sigmoid()).clamp(min=0).mean() + (1 + fake.sigmoid()).clamp(min=0).mean(),
                "There is a sigmoid too many.",
                "The answers are used as they are.",
            ),
            Mistake(
                (1 - real).clamp(min=0).mean() + (1 - fake).clamp(min=0).mean(),
                "Fakes are treated as real ones.",
                "For fakes it is max(0, 1 + f).",
            ),
        ],
        name="the discriminator's loss",
        varied=lambda: (
            *of_terms({"of the real ones": (1 - real).relu().mean(), "of the fakes": (1 + fake).relu().mean()}),
            *of_steps(
                lambda real, fake, one, other: (one - real).relu().mean() + (other + fake).relu().mean(),
                {"`real`": real, "`fake`": fake, "the 1 of 1 − f": 1.0, "the 1 of 1 + f": 1.0},
            ),
        ),
    )
    close(
        number(of_generator, "the generator's loss"),
        -fake.mean(),
        [
            Mistake(fake.mean(), "The generator's loss has the wrong sign.", "It wants high answers: −f."),
            Mistake((1 - fake).clamp(min=0).mean(), "The generator's loss has a hinge.", "It is just −mean f."),
            Mistake(-fake.relu().mean(), "The generator's loss has a hinge.", "It is just −mean f."),
            Mistake((1 + fake).clamp(min=0).mean(), "The generator's loss has a hinge.", "It is just −mean f."),
            Mistake(torch.nn.functional.softplus(-fake).mean(), "This is the non-saturating loss.", "It is −mean f."),
            Mistake(-fake.sum(), "The generator's loss is a sum.", "Take the mean."),
            Mistake(-real.mean(), "The generator's loss looks at the real ones.", "It is −mean f of the fakes."),
            Mistake(
                real.mean() - fake.mean(),
                "The generator's loss has the real ones in it, which it cannot change.",
                "It is −mean f of the fakes.",
            ),
        ],
        name="the generator's loss",
    )
