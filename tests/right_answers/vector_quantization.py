"""Right answers to the exercises of chapter 7, by loops, numpy, other formulas and libraries."""

import collections
import itertools
import math

import numpy as np
import torch
from torch.nn import functional as F

from right_answers import right


@right("vq.nearest_code")
def moved_to_the_codes(z, codebook):
    middle = codebook.mean(0)
    rows, codes = z.permute(0, 2, 3, 1) - middle, codebook - middle
    return (codes.square().sum(1) - 2 * rows @ codes.T).argmin(-1)


@right("vq.nearest_code")
def place_by_place(z, codebook):
    x, e = z.numpy(), codebook.numpy()
    batch, _, height, width = x.shape
    found = np.empty((batch, height, width), dtype=np.int64)
    for b, i, j in itertools.product(range(batch), range(height), range(width)):
        found[b, i, j] = min(range(len(e)), key=lambda k: float(((x[b, :, i, j] - e[k]) ** 2).sum()))
    return torch.from_numpy(found)


@right("vq.straight_through")
def z_added_and_taken_away(z, chosen):
    return chosen.detach() + (z - z.detach())


class _Copied(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, chosen):
        return chosen.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


@right("vq.straight_through")
def by_a_function_of_autograd(z, chosen):
    return _Copied.apply(z, chosen)


@right("vq.quantizer_loss")
def by_mse_loss(z, chosen, commitment):
    dim = z.shape[1]
    return dim * (F.mse_loss(chosen, z.detach()) + commitment * F.mse_loss(z, chosen.detach()))


@right("vq.quantizer_loss")
def vector_by_vector(z, chosen, commitment):
    total = 0.0
    for mine, code in zip(z, chosen, strict=True):
        total = total + (mine.detach() - code).pow(2).sum() + commitment * (mine - code.detach()).pow(2).sum()
    return total / len(z)


@right("vq.ema_update")
def code_by_code(z, codes, counts, sums, decay, epsilon):
    counts, sums = counts.clone(), sums.clone()
    for k in range(len(counts)):
        mine = z[codes == k]
        counts[k] = decay * counts[k] + (1 - decay) * len(mine)
        sums[k] = decay * sums[k] + (1 - decay) * mine.sum(0)
    n, size = counts.sum(), len(counts)
    book = torch.stack([sums[k] * (n + size * epsilon) / (n * (counts[k] + epsilon)) for k in range(size)])
    return counts, sums, book


@right("vq.ema_update")
def by_lerp(z, codes, counts, sums, decay, epsilon):
    found = torch.bincount(codes, minlength=len(counts)).double()
    added = torch.zeros_like(sums).index_add_(0, codes, z)
    counts, sums = counts.lerp(found, 1 - decay), sums.lerp(added, 1 - decay)
    share = (counts + epsilon) / (counts + epsilon).sum()
    return [counts, sums, sums / (share * counts.sum())[:, None]]


@right("vq.usage")
def by_a_counter(batches, n_codes):
    counts = collections.Counter(code for batch in batches for code in batch.flatten().tolist())
    n = sum(counts.values())
    return len(counts) / n_codes, math.exp(-sum(c / n * math.log(c / n) for c in counts.values()))


@right("vq.usage")
def by_the_library(batches, n_codes):
    counts = sum(torch.bincount(batch.flatten(), minlength=n_codes) for batch in batches)
    p = torch.distributions.Categorical(probs=counts.double())
    return np.count_nonzero(counts.numpy()) / n_codes, p.entropy().exp()


@right("vq.one_hot_bound")
def by_distributions(x, pixel_logits, codes, code_logits):
    pixels = torch.distributions.Independent(torch.distributions.Bernoulli(logits=pixel_logits), 2)
    places = torch.distributions.Categorical(logits=code_logits.movedim(1, -1))
    return pixels.log_prob(x) + torch.distributions.Independent(places, 2).log_prob(codes)


@right("vq.one_hot_bound")
def image_by_image(x, pixel_logits, codes, code_logits):
    found = []
    for image, a, grid, b in zip(x, pixel_logits, codes, code_logits, strict=True):
        value = (image * a - F.softplus(a)).sum()
        for i, j in itertools.product(range(grid.shape[0]), range(grid.shape[1])):
            value = value + b[grid[i, j], i, j] - b[:, i, j].logsumexp(0)
        found.append(value)
    return torch.stack(found)


@right("vq.revive")
def one_after_another(codebook, counts, z, order, least):
    codebook, counts, j = codebook.clone(), counts.clone(), 0
    for k in range(len(counts)):
        if counts[k] < least:
            codebook[k], counts[k] = z[order[j % len(order)]], least
            j += 1
    return codebook, counts


@right("vq.revive")
def by_a_running_count(codebook, counts, z, order, least):
    dead = ~(counts >= least)
    place = (dead.cumsum(0) - 1).clamp(min=0) % len(z)
    return torch.where(dead[:, None], z[order][place], codebook), counts.clamp(min=least)


@right("vq.fsq")
def number_by_number(z, levels):
    values, codes, worth = [], torch.zeros(len(z), dtype=torch.int64), 1
    for column, level in zip(z.T, levels, strict=True):
        smooth = 2 * column.sigmoid() - 1  # (tanh(z / 2))
        digit = (column.detach().sigmoid() * (level - 1) + 0.5).floor()
        values.append(smooth + (2 * digit / (level - 1) - 1 - smooth).detach())
        codes = codes + worth * digit.long()
        worth *= level
    return torch.stack(values, 1), codes


@right("vq.fsq")
def by_horner(z, levels):
    top = torch.tensor([level - 1 for level in levels], dtype=z.dtype)
    u = top * (1 + (z / 2).tanh()) / 2
    q = u.round().detach() - u.detach() + u
    code = torch.zeros(len(z), dtype=torch.int64)
    for d in reversed(range(len(levels))):
        code = code * levels[d] + q[:, d].detach().round().long()
    return 2 * q / top - 1, code


@right("vq.residual")
def vector_after_vector(z, codebooks):
    x, books = z.numpy(), codebooks.numpy()
    codes = np.zeros((len(x), len(books)), dtype=np.int64)
    total = np.zeros_like(x)
    for i, s in itertools.product(range(len(x)), range(len(books))):
        far = (((x[i] - total[i]) - books[s]) ** 2).sum(1)
        codes[i, s] = far.argmin()
        total[i] += books[s, codes[i, s]]
    return torch.from_numpy(codes), torch.from_numpy(total)


@right("vq.residual")
def with_cdist(z, codebooks):
    codes, left = [], z
    for book in codebooks:
        far = torch.cdist(left, book, compute_mode="donot_use_mm_for_euclid_dist")
        codes.append(far.argmin(1))
        left = left - book[codes[-1]]
    chosen = torch.stack([book[code] for book, code in zip(codebooks, codes, strict=True)])
    return torch.stack(codes, -1), chosen.sum(0)


@right("vq.search")
def all_values_of_a_place(log_joint, codes, alternatives):
    values = [log_joint(codes)]
    for place in range(codes.shape[1]):
        options = torch.cat([codes[:, place, None], alternatives[:, place]], 1)  # (B, 1 + M)
        found = []
        for option in options.T:
            trial = codes.clone()
            trial[:, place] = option
            found.append(log_joint(trial))
        found = torch.stack(found, 1)  # (B, 1 + M)
        before = (options[:, :, None] == options[:, None]).tril(-1).any(-1)  # stood there, or came earlier
        before[:, 0] = True  # known from the place before
        values += list(torch.where(before, -math.inf, found).T)
        codes = codes.clone()
        codes[:, place] = options.gather(1, found.argmax(1, keepdim=True))[:, 0]
    return codes, torch.stack(values).logsumexp(0)


@right("vq.search")
def with_a_dictionary(log_joint, codes, alternatives):
    seen = [{tuple(grid): value} for grid, value in zip(codes.tolist(), log_joint(codes).tolist(), strict=True)]
    best = [max(one, key=one.get) for one in seen]
    for place, m in itertools.product(range(codes.shape[1]), range(alternatives.shape[2])):
        trial = [(*g[:place], int(a[place, m]), *g[place + 1 :]) for g, a in zip(best, alternatives, strict=True)]
        for i, value in enumerate(log_joint(torch.tensor(trial)).tolist()):
            seen[i][trial[i]] = value
            if value > seen[i][best[i]]:
                best[i] = trial[i]
    total = [torch.tensor(list(one.values()), dtype=torch.float64).logsumexp(0) for one in seen]
    return torch.tensor(best), torch.stack(total)


@right("vq.search")
def image_by_image_and_place_by_place(log_joint, codes, alternatives):
    grids, totals = [], []
    for i in range(len(codes)):
        grid = codes.clone()
        best = total = log_joint(grid)[i]
        for place in range(codes.shape[1]):
            tried = {int(grid[i, place])}
            for code in alternatives[i, place].tolist():
                trial = grid.clone()
                trial[i, place] = code
                value = log_joint(trial)[i]
                if code not in tried:
                    total = torch.logaddexp(total, value)
                    tried.add(code)
                if value > best:
                    grid, best = trial, value
        grids.append(grid[i])
        totals.append(total)
    return torch.stack(grids), torch.stack(totals)


def _every_combination(books):
    codes = torch.cartesian_prod(*[torch.arange(16)] * 4)
    pictures = sum(book[codes[:, s]] for s, book in enumerate(books)).float()
    half = pictures.square().sum(1) / 2
    return lambda x: codes[torch.cat([(half - part @ pictures.T).argmin(1) for part in x.float().split(100)])]


@right("vq.compress")
def by_gradient(x_train):
    """Codebooks as parameters: codes by coordinate search, then a few steps of Adam with shifted images."""
    generator = torch.Generator().manual_seed(1)
    left, books = x_train, []
    for _ in range(4):
        book = left[torch.randperm(len(left), generator=generator)[:16]].clone()
        for _ in range(15):
            nearest = torch.cdist(left, book).argmin(1)
            for k in nearest.unique().tolist():
                book[k] = left[nearest == k].mean(0)
        books.append(book)
        left = left - book[torch.cdist(left, book).argmin(1)]
    books = torch.stack(books).float().requires_grad_()
    optimizer, stage = torch.optim.Adam([books], lr=0.01), torch.arange(4)
    for step in range(160):
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / 160)
        x = _shifted(x_train, generator)
        with torch.no_grad():
            codes = _beam(books, x)
        loss = (books[stage, codes].sum(1) - x).square().sum(1).mean() + 2e-3 * books.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    books = books.detach().double()
    return books, _every_combination(books)


def _shifted(x, generator):
    image = x.float().reshape(-1, 1, 8, 8)
    angle, right, down = 0.16 * torch.rand(3, len(x), generator=generator) - 0.08
    matrix = torch.stack([angle.cos(), -angle.sin(), right, angle.sin(), angle.cos(), down], 1).reshape(-1, 2, 3)
    moved = F.grid_sample(image, F.affine_grid(matrix, image.shape, align_corners=False), align_corners=False)
    return (1.3 * moved.flatten(1) - 0.15).clamp(0, 1)


def _beam(books, x, width=4):
    left, codes = x[:, None], torch.zeros(len(x), 1, 0, dtype=torch.int64)
    for book in books:
        far = torch.cdist(left, book)  # (N, width, 16)
        best = far.flatten(1).topk(min(width, far[0].numel()), largest=False).indices
        parent, code = best // 16, best % 16
        kept = codes.gather(1, parent[..., None].expand(-1, -1, codes.shape[2]))
        codes = torch.cat([kept, code[..., None]], 2)
        left = left.gather(1, parent[..., None].expand(-1, -1, x.shape[1])) - book[code]
    return codes[torch.arange(len(x)), left.square().sum(-1).argmin(1)]


@right("vq.compress")
def ridge_on_turned_copies(x_train):
    """The recipe of the hints: residual k-means, then ridge regression and better codes in turn, with turned copies."""
    generator, stage = torch.Generator().manual_seed(2), torch.arange(4)
    x = torch.cat([x_train, *(_shifted(x_train, generator).double() for _ in range(3))])
    left, books, codes = x_train, [], []
    for _ in range(4):
        book = left[torch.randperm(len(left), generator=generator)[:16]].clone()
        for _ in range(15):
            nearest = torch.cdist(left, book).argmin(1)
            for k in nearest.unique().tolist():
                book[k] = left[nearest == k].mean(0)
        books.append(book)
        left = left - book[torch.cdist(left, book).argmin(1)]
    books, mean = torch.stack(books), x.mean(0)
    codes = residual_codes(x, books)
    for _ in range(10):
        for s in (0, 1, 2, 3, 0, 1, 2, 3):
            rest = x - books[stage, codes].sum(1) + books[s, codes[:, s]]
            codes[:, s] = torch.cdist(rest, books[s]).argmin(1)
        hot = F.one_hot(codes, 16).double().flatten(1)
        gram = hot.T @ hot + 3 * torch.eye(64, dtype=hot.dtype)
        books = torch.linalg.solve(gram, hot.T @ (x - mean)).reshape(4, 16, 64) + mean / 4
    return books, _every_combination(books)


def residual_codes(x, books):
    codes = []
    for book in books:
        codes.append(torch.cdist(x, book).argmin(1))
        x = x - book[codes[-1]]
    return torch.stack(codes, 1)
