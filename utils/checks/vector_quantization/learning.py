"""Checks of chapter 7: how codes and encoder learn, and how many codes are in use."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from utils.checks import draw
from utils.checks.engine import Wrong, exercise
from utils.checks.expect import Mistake, close, number, parts, tensor
from utils.checks.vector_quantization._gradients import gradient


@exercise("vq.straight_through", call="straight_through(z, chosen)")
def straight_through(answer: Callable, generator: Generator) -> None:
    n, dim = 5, 3
    # Rows on very different scales: a product or a quotient in the place of a sum would show.
    scale = torch.tensor([1e-3, 0.1, 1.0, 10.0, 1000.0]).double()[:, None]
    z, chosen = ((scale * draw.away_from_zero(generator, n, dim)).requires_grad_() for _ in range(2))
    value, code = z.detach(), chosen.detach()
    raw = answer(z, chosen)
    close(
        tensor(raw, (n, dim), shapes=[Mistake((), "one number", "Each row keeps its vector.")]),
        code,
        [
            Mistake(value, "Going forward, you return z: the decoder must get the code.", "The value is `chosen`."),
            Mistake(2 * value - code, "You subtract the step from z to the code.", "z + (chosen − z)."),
            Mistake(value + code, "You add the code to z.", "The value is `chosen`: z + (chosen − z)."),
            Mistake((value + code) / 2, "You return the middle of both.", "The value is `chosen`."),
            Mistake(code - value, "You return the step from z to the code alone.", "Add it to z."),
            Mistake(value - code, "You return z minus the code.", "The value is `chosen`."),
            Mistake(2 * value + code, "You add code and z to z.", "The step is chosen − z."),
        ],
        hint="z plus what quantization changes: z + (chosen − z).",
    )
    weights = draw.away_from_zero(generator, n, dim)
    of_z = gradient(raw, z, "z", weights)
    of_codes = gradient(raw, chosen, "chosen", weights)
    exchanged = "The gradient goes to the code, and z gets none: the encoder would not learn."
    hint = "Detach the whole step: z + (chosen − z).detach()."
    if torch.equal(of_z, 0 * weights) and torch.allclose(of_codes, weights):
        raise Wrong(exchanged, hint)
    close(
        of_z,
        weights,
        [
            Mistake(0 * weights, "No gradient reaches z.", hint),
            Mistake(-weights, "The gradient of z has the wrong sign.", hint),
            Mistake(2 * weights, "z gets its gradient twice.", hint),
        ],
        name="the gradient in z",
        hint=hint,
    )
    close(
        of_codes,
        0 * weights,
        [Mistake(weights, "The codes get the decoder's gradient, too: they learn by losses of their own.", hint)],
        name="the gradient in the codes",
        hint=hint,
    )


@exercise("vq.quantizer_loss", call="quantizer_loss(z, chosen, commitment)")
def quantizer_loss(answer: Callable, generator: Generator) -> None:
    n, dim = 7, 4
    beta = draw.between(generator, 0.3, 0.45)
    z, chosen = (draw.away_from_zero(generator, n, dim).requires_grad_() for _ in range(2))
    step = (z - chosen).detach()
    each = step.square().sum(1)
    raw = answer(z, chosen, beta)
    if isinstance(raw, Tensor) and raw.shape == (n,):
        raise Wrong("Your loss has one number for each vector, expected one for all.", "Average over the vectors.")
    if isinstance(raw, Tensor) and raw.shape == (1,):
        raise Wrong("Your loss should be one number, of shape (), not (1,).", "No `[None]`, no `keepdim`: `.mean()`.")
    loss = number(raw, "your loss")
    if not isinstance(raw, Tensor):
        raise Wrong(
            f"Your loss is a `{type(raw).__name__}`, not a tensor: no gradient flows through it.",
            "Return the tensor itself: no `.item()`, `float()` or numpy.",
        )
    mean = each.mean()
    true = (1 + beta) * mean
    terms = [
        (mean / dim, "averages over the D entries", "Sum over D, mean over N."),
        (step.sum(1).mean(), "lacks the square", "(z − e)², summed."),
        (-step.sum(1).mean(), "lacks the square", "(z − e)², summed."),
        (each.sqrt().mean(), "is a length, not its square", "Without `sqrt`."),
        ((z + chosen).detach().square().sum(1).mean(), "adds e to z", "The difference, z − e."),
        (z.detach().square().sum(1).mean(), "forgets e", "The difference, z − e."),
        (chosen.detach().square().sum(1).mean(), "forgets z", "The difference, z − e."),
    ]

    pull = 2 * step / n
    if raw.requires_grad and torch.allclose(loss, mean):  # two ways to the same value
        of_z, of_codes = gradient(raw, z, "z"), gradient(raw, chosen, "chosen")
        if torch.allclose(of_z, beta * pull) and torch.allclose(of_codes, (beta - 1) * pull):
            raise Wrong("You weigh the codebook loss with 1 − β; it counts once.", "ℓ = codebook + β commitment.")
    close(
        loss,
        true,
        [
            *(
                Mistake((1 + fixed) * mean, f"You take {fixed} for β.", "Use `commitment`.")
                for fixed in (0.25, 0.5, 0.1, 0.01)
            ),
            Mistake(-(1 + beta) * mean, "The sign is wrong.", "A loss is a distance here: never negative."),
            Mistake(mean, "Only one of the two losses counts.", "Add the codebook loss and β times the commitment."),
            Mistake(beta * mean, "The codebook loss is missing.", "Both squares: one moves the code, one the encoder."),
            Mistake(2 * mean, "β is missing.", "The commitment counts β times."),
            Mistake(
                2 * beta * mean,
                "β weighs both losses; it belongs to the commitment alone.",
                "ℓ = codebook + β commitment.",
            ),
            Mistake((1 - beta) * mean, "You subtract the commitment.", "Add it, β times."),
            Mistake((1 + 1 / beta) * mean, "You divide by β.", "Multiply."),
            Mistake((1 + beta**2) * mean, "You square β.", "β times the squared distance."),
            Mistake((1 + beta) / 2 * mean, "There is a ½ too many.", "ℓ has none."),
            *(Mistake(one + beta * mean, f"Your codebook loss {says}.", hint) for one, says, hint in terms),
            *(Mistake(mean + beta * one, f"Your commitment {says}.", hint) for one, says, hint in terms),
            Mistake(true / dim, "You average over the D entries, too: `mse_loss` does.", "Sum over D, mean over N."),
            Mistake(true * n, "You sum over the vectors.", "Mean over N."),
            Mistake(true * n / dim, "You sum over the vectors and average over the entries.", "The other way round."),
            Mistake((1 + beta) * each.sqrt().mean(), "These are lengths, not their squares.", "Without `sqrt`."),
            Mistake((1 + beta) * step.abs().sum(1).mean(), "You sum absolute differences.", "Squares."),
            Mistake(
                (1 + beta) * step.sum(1).square().mean(), "You square after the sum.", "First squares, then the sum."
            ),
            Mistake((1 + beta) * each[0], "You use the first vector alone.", "The mean over all."),
        ],
        name="your loss",
        hint="‖z − e‖² for each vector; its mean; (1 + β) times.",
    )
    hint = "`(z.detach() - chosen)` moves the code, `(z - chosen.detach())` the encoder."
    of_z, of_codes = gradient(raw, z, "z"), gradient(raw, chosen, "chosen")
    if torch.allclose(of_z, pull) and torch.allclose(of_codes, -beta * pull):
        raise Wrong("β weighs the wrong loss: the one that moves the code.", f"{hint} β belongs to the second.")
    if torch.allclose(of_z, (1 + beta) * pull) and torch.allclose(of_codes, -pull):
        raise Wrong("In the codebook loss z is not detached: it moves the encoder, too.", hint)
    both = "Nothing is detached: each loss moves both sides."
    close(
        of_z,
        beta * pull,
        [
            Mistake((1 + beta) * pull, both, hint),
            Mistake(0 * pull, "The encoder does not move: no gradient reaches z.", hint),
            Mistake(pull, "The encoder is moved by the codebook loss.", hint),
        ],
        name="the gradient in z",
        hint=hint,
    )
    close(
        of_codes,
        -pull,
        [
            Mistake(-(1 + beta) * pull, "In the commitment the code is not detached: it moves the code, too.", hint),
            Mistake(0 * pull, "The codes do not move: no gradient reaches `chosen`.", hint),
            Mistake(-beta * pull, "The codes are moved by the commitment alone.", hint),
        ],
        name="the gradient in the codes",
        hint=hint,
    )


@exercise("vq.ema_update", call="ema_update(z, codes, counts, sums, decay, epsilon)")
def ema_update(answer: Callable, generator: Generator) -> None:
    n, dim, n_codes = 11, 3, 6
    decay, epsilon = draw.between(generator, 0.6, 0.9), draw.between(generator, 0.1, 0.3)
    place = draw.order(generator, n_codes)
    chosen = place[torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3])]  # two codes are not chosen
    codes = chosen[torch.randperm(n, generator=generator)]
    z = 2 * draw.normal(generator, n, dim) + 3
    counts = 0.5 + 4 * draw.uniform(generator, n_codes)
    sums = counts[:, None] * draw.normal(generator, n_codes, dim)
    counts[place[4]] = 0.0  # and one of them never was
    sums[place[4]] = 0.0
    one = torch.nn.functional.one_hot(codes, n_codes).double()  # (N, K)
    found, added = one.sum(0), one.T @ z
    names = ("counts", "sums", "codebook")
    says = "Your codebook is not finite: a code that was never chosen has a count of 0."
    mine = [
        tensor(part, shape, name=f"your {name}", not_finite=(says, "Divide by the smoothed counts."))
        for part, name, shape in zip(
            parts(answer(z, codes, counts, sums, decay, epsilon), names),
            names,
            ((n_codes,), (n_codes, dim), (n_codes, dim)),
            strict=True,
        )
    ]
    new_counts = decay * counts + (1 - decay) * found
    new_sums = decay * sums + (1 - decay) * added
    total = new_counts.sum()
    smoothed = total * (new_counts + epsilon) / (total + n_codes * epsilon)
    means = added / found.clamp(min=1)[:, None]

    def averages(old: Tensor, now: Tensor, new: Tensor, what: str) -> list[Mistake]:
        chosen_only = (found > 0) if old.ndim == 1 else (found > 0)[:, None]
        return [
            Mistake(
                (1 - decay) * old + decay * now,
                f"λ and 1 − λ are exchanged in your {what}: they forget nearly all in one step.",
                "λ weighs the old ones.",
            ),
            Mistake(now, f"Your {what} are those of this batch alone.", "λ old + (1 − λ) new."),
            Mistake(old + now, f"Your {what} only grow: nothing is forgotten.", "λ old + (1 − λ) new."),
            Mistake(decay * old + now, f"The factor 1 − λ is missing in your {what}.", "λ old + (1 − λ) new."),
            Mistake(old + (1 - decay) * now, f"The factor λ is missing in your {what}.", "λ old + (1 − λ) new."),
            Mistake(
                torch.where(chosen_only, new, old),
                f"In your {what} a code that nobody chose stays as it was; it counts with 0, and fades.",
                "λ N_k + (1 − λ) · 0.",
            ),
            Mistake(old, f"Your {what} are the old ones.", "λ old + (1 − λ) new."),
            *(
                Mistake(fixed * old + (1 - fixed) * now, f"In your {what}, λ is {fixed}.", "Use `decay`.")
                for fixed in (0.99, 0.999, 0.95, 0.9)
            ),
        ]

    close(
        mine[0],
        new_counts,
        [
            *averages(counts, found, new_counts, "counts"),
            Mistake(smoothed, "You return the smoothed counts: smoothing again and again adds up.", "Return N_k."),
            Mistake(decay * counts + (1 - decay) * found / n, "You average shares, not counts.", "n_k, not n_k / N."),
            Mistake(decay * counts + (1 - decay) * (found > 0), "You count each code once.", "How many chose it."),
            Mistake(new_counts + epsilon, "You add ε to the counts that you return.", "Smooth for the division alone."),
        ],
        name="your counts",
        hint="λ N_k + (1 − λ) n_k, with `torch.bincount(codes, minlength=K)`.",
    )
    close(
        mine[1],
        new_sums,
        [
            *averages(sums, added, new_sums, "sums"),
            Mistake(
                decay * sums + (1 - decay) * means,
                "You average means of the batch, not sums: few vectors would weigh as much as many.",
                "Σ of the vectors that chose code k.",
            ),
            Mistake(new_sums / smoothed[:, None], "You return the codebook in the place of the sums.", "S_k itself."),
        ],
        name="your sums",
        hint="λ S_k + (1 − λ) Σ z over the vectors that chose code k.",
    )
    hint = "S_k / Ñ_k with Ñ_k = n (N_k + ε) / (n + K ε)."

    def book(divisor: Tensor, sums: Tensor = new_sums) -> Tensor:
        return sums / divisor[:, None]

    close(
        mine[2],
        book(smoothed),
        [
            Mistake(
                book(new_counts.clamp(min=1e-12)),
                "You divide by the counts as they are: the smoothing is missing.",
                hint,
            ),
            *(
                Mistake(
                    book(new_counts.clamp(min=least)),
                    "You divide by clamped counts: this is not the smoothing that is asked.",
                    hint,
                )
                for least in (1.0, epsilon, 1e-3, 1e-5, 1e-6, 1e-8)
            ),
            Mistake(
                book(new_counts + epsilon),
                "You add ε, but the total grows: scale it back to n.",
                "n / (n + K ε) times.",
            ),
            Mistake(
                book((new_counts + epsilon) / (total + n_codes * epsilon)),
                "Your smoothed counts sum to 1, not to n.",
                "Multiply them with n.",
            ),
            Mistake(
                book(total * (new_counts + epsilon) / (total + epsilon)), "The K is missing: each code gets ε.", hint
            ),
            Mistake(
                book(total * (new_counts + epsilon) / (total + dim * epsilon)),
                "You take D, the length of the vectors, for K, the number of codes.",
                hint,
            ),
            *(
                Mistake(
                    book(total * (new_counts + fixed) / (total + n_codes * fixed)),
                    f"Your ε is {fixed:g}, not the one that is given.",
                    "Use `epsilon`.",
                )
                for fixed in (1e-2, 1e-3, 1e-4, 1e-5, 1.0)
            ),
            Mistake(
                book(n * (new_counts + epsilon) / (n + n_codes * epsilon)),
                "You take the number of vectors in the batch for n; it is the sum of the counts.",
                "n = Σ N_k.",
            ),
            Mistake(
                book(total * (new_counts + epsilon) / (total - n_codes * epsilon)), "K ε has the wrong sign.", hint
            ),
            Mistake(
                book(counts.sum() * (counts + epsilon) / (counts.sum() + n_codes * epsilon)),
                "You divide the new sums by the old counts.",
                "First update, then divide.",
            ),
            Mistake(
                book(counts.sum() * (counts + epsilon) / (counts.sum() + n_codes * epsilon), sums),
                "You return the codebook from before the update.",
                "First update, then divide.",
            ),
            Mistake(
                book(counts.sum() * (new_counts + epsilon) / (counts.sum() + n_codes * epsilon)),
                "You sum the old counts for n.",
                "n = Σ N_k of the new ones.",
            ),
            Mistake(new_sums, "You return the sums in the place of the codebook.", hint),
            Mistake(book(1 / smoothed), "You multiply with the counts where you should divide.", hint),
            Mistake(means, "Your codebook is the batch's means alone.", hint),
        ],
        name="your codebook",
        hint=hint,
    )
    # The last code is not chosen: K is the number of counts, not the largest code + 1.
    codes = torch.where(codes == n_codes - 1, 0, codes)
    one = torch.nn.functional.one_hot(codes, n_codes).double()
    try:
        mine = parts(answer(z, codes, counts, sums, decay, epsilon), names)[0]
    except RuntimeError as error:
        if f"({n_codes})" in str(error) and f"({int(codes.max()) + 1})" in str(error):
            raise Wrong(_LARGEST, _K) from error
        raise
    shapes = [Mistake((int(codes.max()) + 1,), "K is not the largest code + 1", _K)]
    mine = tensor(mine, (n_codes,), name="your counts", shapes=shapes)
    close(mine, decay * counts + (1 - decay) * one.sum(0), name="your counts where nobody chose the last code")


_LARGEST = "Where nobody chose the last code, your function fails: it takes the largest code + 1 for K."
_K = "K is `len(counts)`: `F.one_hot(codes, K)`, `torch.bincount(codes, minlength=K)`."


@exercise("vq.usage", call="usage(batches, n_codes)")
def usage(answer: Callable, generator: Generator) -> None:
    n_codes = 12
    # Nine of twelve codes, the last one not among them, unequally often, in batches of unequal sizes.
    place = draw.order(generator, n_codes - 1)
    often = torch.tensor([40, 22, 13, 9, 6, 5, 3, 1, 1])
    everything = place[torch.repeat_interleave(torch.arange(9), often)]
    everything = everything[torch.randperm(len(everything), generator=generator)]
    batches = [part.reshape(shape) for part, shape in zip(everything.split([60, 28, 12]), _SHAPES, strict=True)]
    counts = torch.bincount(everything, minlength=n_codes).double()
    p = counts / counts.sum()

    def entropy(p: Tensor) -> Tensor:
        return -torch.xlogy(p, p).sum()

    of_each = [torch.bincount(one.flatten(), minlength=n_codes).double() for one in batches]
    shares = torch.stack([(one > 0).double().mean() for one in of_each])
    entropies = torch.stack([entropy(one / one.sum()) for one in of_each])
    names = ("share", "perplexity")
    not_finite = ("Your perplexity is NaN: 0 · log 0.", "A code that never occurs adds 0: `torch.xlogy(p, p)`.")
    result = parts(answer(batches, n_codes), names)
    share, perplexity = (
        number(part, f"your {name}", not_finite=not_finite) for part, name in zip(result, names, strict=True)
    )
    used = (counts > 0).double()
    pool = "Count over all batches first, then compute."
    close(
        share,
        used.mean(),
        [
            Mistake(entropy(p).exp(), "You return the perplexity first; the share comes first.", "Exchange them."),
            Mistake(used.sum(), "You return the number of codes that occur, not their share.", "Divide by K."),
            Mistake(1 - used.mean(), "This is the share of codes that never occur.", "Count those that do."),
            Mistake(shares.mean(), "You average the shares of batches: they miss what others use.", pool),
            *(Mistake(one, "You look at one batch: the others use codes that it lacks.", pool) for one in shares),
            Mistake(used.sum() / (everything.max() + 1), "You divide by the largest code + 1, not by K.", "`n_codes`."),
            Mistake(used.sum() / len(everything), "You divide by the number of vectors, not by K.", "`n_codes`."),
            Mistake((counts > 1).double().mean(), "You do not count codes that occur once.", "`> 0`."),
            Mistake(
                torch.ones(()).double(), "Your share is 1: you count those that occur among those that occur.", "K."
            ),
        ],
        name="your share",
        hint="The number of different codes in all batches, divided by K.",
    )
    size = torch.tensor([one.numel() for one in batches]).double()
    true = entropy(p).exp()
    close(
        perplexity,
        true,
        [
            Mistake(entropy(p), "You return the entropy, not its exponential.", "`exp`."),
            Mistake(
                entropy(p) / math.log(2), "You return the entropy in bits, not its exponential.", "`exp`, in nats."
            ),
            Mistake(2 ** entropy(p), "You raise 2 to an entropy in nats.", "`exp` belongs to `log`, 2 to `log2`."),
            Mistake((entropy(p) / math.log(2)).exp(), "You take e to an entropy in bits.", "`exp` belongs to `log`."),
            Mistake(1 / true, "The sign in the exponent is missing.", "exp(−Σ p log p)."),
            Mistake(true / n_codes, "You divide by K.", "The perplexity itself."),
            Mistake(
                entropies.exp().mean(),
                "You average the perplexities of batches: this is no number of the data set.",
                pool,
            ),
            Mistake(
                entropies.mean().exp(), "You average the entropies of batches: this is no number of the data set.", pool
            ),
            Mistake((entropies * size).sum().div(size.sum()).exp(), "You average the entropies of batches.", pool),
            Mistake(
                entropy(torch.stack([one / one.sum() for one in of_each]).mean(0)).exp(),
                "You average the batches' shares: a code in a small batch counts too much.",
                pool,
            ),
            *(Mistake(one.exp(), "You look at one batch alone.", pool) for one in entropies),
            Mistake(entropy(used / used.sum()).exp(), "You count each code once, however often it occurs.", "p_k."),
            Mistake(1 / p.square().sum(), "This is 1 / Σ p², another number of effective codes.", "exp(−Σ p log p)."),
            Mistake(
                (-torch.xlogy(p, p)).mean().exp(),
                "You average over the codes where the sum belongs.",
                "Σ_k p_k log p_k.",
            ),
            Mistake(entropy(counts).exp(), "You forgot to divide the counts by their sum.", "p_k is a share."),
            Mistake(
                entropy((counts + 1) / (counts + 1).sum()).exp(), "You add 1 to each count.", "0 · log 0 counts as 0."
            ),
        ],
        name="your perplexity",
        hint="exp(−Σ p log p), p the share of each code among all.",
    )
    one = torch.full((3, 2), n_codes - 1)
    share, perplexity = (number(part) for part in parts(answer([one], n_codes), names))
    close(share, torch.tensor(1 / n_codes).double(), name="your share where one code is used")
    close(perplexity, torch.tensor(1.0).double(), name="your perplexity where one code is used")
    # Many codes, each of them rare: what is added to a small p counts.
    n_codes = 5000
    _, perplexity = (number(part) for part in parts(answer([torch.randperm(n_codes)], n_codes), names))
    says = "You add a small number in the logarithm; with 5000 codes it is not small beside p."
    added = [Mistake(n_codes / (1 + n_codes * e), says, "`torch.xlogy(p, p)` is 0 at 0.") for e in _ADDED]
    close(perplexity, torch.tensor(5000.0).double(), added, name="your perplexity of 5000 codes, equally frequent")


_ADDED = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
_SHAPES = ((5, 4, 3), (7, 2, 2), (12,))


@exercise("vq.revive", call="revive(codebook, counts, z, order, least)")
def revive(answer: Callable, generator: Generator) -> None:
    dim, n_codes, least = 3, 7, 1.5
    level = torch.tensor([0.0, 0.7, least, 1.49, 4.0, 2.5, 9.0]).double()  # one of them just at the limit
    for n in (8, 2, 1):  # more vectors than dead codes, fewer, and so few that `order` begins a third time
        place = draw.order(generator, n_codes)
        counts = level[place]
        codebook, z = 3 + draw.normal(generator, n_codes, dim), draw.normal(generator, n, dim)
        order = draw.order(generator, n) if n > 3 else torch.arange(n).flip(0)
        names = ("codebook", "counts")
        mine, new = parts(answer(codebook, counts, z, order, least), names)
        mine = tensor(mine, (n_codes, dim), name="your codebook")
        new = tensor(new, (n_codes,), name="your counts")

        def filled(dead: Tensor, rows: Tensor, into: Tensor = codebook, n: int = n, backwards: bool = False) -> Tensor:
            at = dead.nonzero().flatten()
            at = at.flip(0) if backwards else at
            result = into.clone()
            result[at] = rows[torch.arange(len(at)) % n]
            return result

        dead = counts < least
        own = codebook.clone()
        own[dead] = z[order[dead.nonzero().flatten() % n]]
        by_count = codebook.clone()
        at = counts.argsort()[: int(dead.sum())]
        by_count[at] = z[order[torch.arange(len(at)) % n]]
        last = codebook.clone()
        last[dead] = z[order[torch.arange(int(dead.sum())).clamp(max=n - 1)]]
        short = codebook.clone()
        at = dead.nonzero().flatten()[:n]
        short[at] = z[order[: len(at)]]
        twice = codebook.clone()
        at = dead.nonzero().flatten()[: 2 * n]
        twice[at] = z[order.repeat(2)[: len(at)]]
        close(
            mine,
            filled(dead, z[order]),
            [
                Mistake(codebook, "No code is revived.", "A code is dead if its count is below `least`."),
                Mistake(
                    filled(counts <= least, z[order]),
                    "A code whose count equals `least` is not dead.",
                    "Below: `<`, not `<=`.",
                ),
                Mistake(filled(counts == 0, z[order]), "You revive only codes with a count of 0.", "Below `least`."),
                Mistake(filled(counts >= least, z[order]), "You replace the codes that live.", "Below `least`."),
                Mistake(filled(counts > least, z[order]), "You replace the codes that live.", "Below `least`."),
                Mistake(
                    filled(dead, z), "You take the first vectors of the batch, not those of `order`.", "z[order[j]]."
                ),
                Mistake(
                    filled(dead, z[order.argsort()]), "You invert `order`.", "The j-th dead code gets z[order[j]]."
                ),
                Mistake(
                    own,
                    "The number of the code picks its place in `order`; it should be its place among the dead.",
                    "The first dead code gets z[order[0]].",
                ),
                Mistake(by_count, "You revive in the order of the counts.", "In the order of the codes' numbers."),
                Mistake(
                    filled(dead, z[order], backwards=True), "You begin with the last dead code.", "Smallest first."
                ),
                Mistake(
                    filled(dead, z[order[:1]].expand(n, -1)),
                    "All dead codes get the same vector: they would share what they find.",
                    "z[order[0]], z[order[1]], …",
                ),
                Mistake(
                    filled(dead, z.mean(0).expand(n, -1)),
                    "All dead codes become the batch's mean.",
                    "Each becomes a vector of the batch.",
                ),
                Mistake(
                    short, "Where `order` ends, you leave the other dead codes as they are.", "Begin again: j % N."
                ),
                Mistake(twice, "You go through `order` twice; it may have to begin more often.", "j % N."),
                Mistake(last, "Where `order` ends, you repeat its last vector.", "Begin again: j % N."),
                Mistake(filled(dead, z[order.flip(0)]), "You read `order` from its end.", "z[order[0]] comes first."),
                Mistake(
                    filled(dead, codebook[place][torch.arange(n) % n_codes]),
                    "You copy codes: they become vectors of the batch.",
                    "z[order[j]].",
                ),
                Mistake(
                    z[order[torch.arange(n_codes) % n]],
                    "You replace all codes, the living ones, too.",
                    "Only the dead.",
                ),
            ],
            name="your codebook",
            hint="The j-th code with a count below `least` becomes z[order[j % N]]; the others stay.",
        )
        close(
            new,
            torch.where(dead, least, counts),
            [
                Mistake(
                    counts, "The counts of revived codes stay: they are dead again at once.", "Set them to `least`."
                ),
                Mistake(torch.where(dead, 0.0, counts), "You set the counts of revived codes to 0.", "To `least`."),
                Mistake(torch.where(dead, 1.0, counts), "You set the counts of revived codes to 1.", "To `least`."),
                Mistake(counts + least * dead, "You add `least` to the counts of revived codes.", "Set them to it."),
                Mistake(torch.full_like(counts, least), "You set all counts to `least`.", "Those of revived codes."),
                Mistake(
                    torch.where(dead, counts.mean(), counts), "You set the counts to the mean count.", "To `least`."
                ),
                Mistake(counts.clamp(max=least), "You cut the counts of living codes.", "They stay."),
                Mistake(torch.where(dead, counts, least), "You set the counts of the living codes.", "Of the revived."),
            ],
            name="your counts",
            hint="The count of a revived code becomes `least`; the others stay.",
        )
    alive = counts + 5
    mine, new = parts(answer(codebook, alive, z, order, least), names)
    close(tensor(mine, codebook.shape, name="your codebook"), codebook, name="your codebook where no code is dead")
    close(tensor(new, alive.shape, name="your counts"), alive, name="your counts where no code is dead")
