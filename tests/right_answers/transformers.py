"""Right answers to the exercises of chapter 13, transformers, written otherwise than the solutions."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from right_answers import right


@right("lm.bpe_merge")
def by_text(words, counts, new):
    """Words as texts of characters, whose `replace` goes from left to right."""
    lines = ["".join(map(chr, word)) for word in words]
    pairs = sorted({line[i : i + 2] for line in lines for i in range(len(line) - 1)})

    def often(pair):
        return sum(
            count * (line[i : i + 2] == pair) for line, count in zip(lines, counts, strict=True) for i in range(9)
        )

    pair = max(pairs, key=often)  # the first of equals
    return (ord(pair[0]), ord(pair[1])), [[ord(c) for c in line.replace(pair, chr(new))] for line in lines]


@right("lm.bpe_merge")
def by_numpy(words, counts, new):
    size = 1 + max(max(word) for word in words)
    table = np.zeros((size, size), dtype=int)
    for word, count in zip(words, counts, strict=True):
        np.add.at(table, (word[:-1], word[1:]), count)
    a, b = (int(i) for i in np.unravel_index(table.argmax(), table.shape))
    merged = []
    for word in words:
        out, i = [], 0
        while i < len(word):
            fits = word[i : i + 2] == [a, b]
            out.append(new if fits else word[i])
            i += 1 + fits
        merged.append(out)
    return (a, b), merged


@right("lm.bpe_merge")
def with_ids_of_numpy(words, counts, new):
    (a, b), made = by_numpy(words, counts, new)
    return (np.int64(a), np.int64(b)), [list(np.array(word)) for word in made]


@right("lm.bits_per_character")
def token_by_token(model, tokens, lengths, window, stride):
    total, n = 0.0, len(tokens)
    for i in range(n):
        begin = 0 if i < window else stride * math.ceil((i - window + 1) / stride)
        total += model(tokens[begin : begin + window])[i - begin].item()
    return -total / math.log(2) / lengths.sum().item()


@right("lm.bits_per_character")
def into_one_array(model, tokens, lengths, window, stride):
    each = np.full(len(tokens), np.nan)
    for begin in range(0, len(tokens), stride):
        here = each[begin : begin + window]
        log_p = model(tokens[begin : begin + window]).numpy()
        here[np.isnan(here)] = log_p[np.isnan(here)]
    return -np.log2(np.exp(each)).sum() / lengths.sum().numpy()


@right("lm.attention")
def by_the_library(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


@right("lm.attention")
def query_by_query(q, k, v):
    out = torch.zeros(*q.shape[:3], v.shape[-1], dtype=q.dtype)
    for t in range(q.shape[2]):
        scores = torch.einsum("bhd,bhsd->bhs", q[:, :, t], k[:, :, : t + 1]) / math.sqrt(q.shape[3])
        e = (scores - scores.max(-1, keepdim=True).values).exp()
        out[:, :, t] = torch.einsum("bhs,bhsd->bhd", e, v[:, :, : t + 1]) / e.sum(-1, keepdim=True)
    return out


@right("lm.multi_head")
def head_after_head(x, w_in, w_out, n_heads):
    w = w_in.reshape(3, n_heads, -1, x.shape[-1])
    out = torch.zeros_like(x)
    for h in range(n_heads):
        q, k, v = (x @ w[i, h].T for i in range(3))
        dim = q.shape[-1]
        scores = q @ k.mT / dim**0.5 + torch.full((x.shape[1],) * 2, -torch.inf).triu(1)
        out += scores.softmax(-1) @ v @ w_out[:, h * dim : (h + 1) * dim].T
    return out


@right("lm.multi_head")
def by_the_module(x, w_in, w_out, n_heads):
    width = w_out.shape[1]
    if width != x.shape[-1]:  # the module wants as many channels inside as outside
        return head_after_head(x, w_in, w_out, n_heads)
    layer = nn.MultiheadAttention(width, n_heads, bias=False, batch_first=True, dtype=x.dtype)
    with torch.no_grad():
        layer.in_proj_weight.copy_(w_in)
        layer.out_proj.weight.copy_(w_out)
        later = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
        return layer(x, x, x, attn_mask=later, need_weights=False)[0]


@right("lm.rotate")
def by_complex_numbers(x, positions, base):
    half = x.shape[-1] // 2
    theta = torch.tensor([base ** (-2 * i / x.shape[-1]) for i in range(half)], dtype=torch.float64)
    turn = torch.polar(torch.ones(len(positions), half).double(), torch.outer(positions.double(), theta))
    z = torch.complex(x[..., :half], x[..., half:]) * turn
    return torch.cat([z.real, z.imag], -1)


@right("lm.rotate")
def by_half_rotations(x, positions, base):
    """As large models write it: x cos + rotated(x) sin."""
    theta = 1 / base ** (torch.arange(0, x.shape[-1], 2).double() / x.shape[-1])
    angle = (positions.double()[:, None] * theta).repeat(1, 2)
    first, second = x.chunk(2, -1)
    return x * angle.cos() + torch.cat([-second, first], -1) * angle.sin()


@right("lm.nucleus")
def row_by_row(logits, temperature, mass):
    out = np.zeros(logits.shape)
    for row, a in enumerate(logits.numpy() / temperature):
        p = np.exp(a - a.max())
        p /= p.sum()
        kept, total = [], 0.0
        for token in np.argsort(-p, kind="stable"):
            kept.append(token)
            total += p[token]
            if total >= mass:
                break
        out[row, kept] = p[kept] / p[kept].sum()
    return torch.from_numpy(out)


@right("lm.nucleus")
def by_masking_logits(logits, temperature, mass):
    """As large models write it."""
    logits = logits / temperature
    ordered, token = torch.sort(logits, descending=True, stable=True)
    cut = ordered.softmax(-1).cumsum(-1) >= mass
    cut = torch.cat([torch.zeros_like(cut[:, :1]), cut[:, :-1]], 1)
    return logits.masked_fill(cut.gather(1, token.argsort(1)), -torch.inf).softmax(-1)


@right("lm.nucleus")
def by_logsumexp(logits, temperature, mass):
    """Probabilities that a rounding tells from those of softmax."""
    logits = logits / temperature
    p = (logits - logits.logsumexp(-1, keepdim=True)).exp()
    out = torch.zeros_like(p)
    for row, of_row in zip(out, p, strict=True):
        total = 0.0
        for token in torch.sort(-of_row, stable=True).indices.tolist():
            row[token] = of_row[token]
            total += of_row[token].item()
            if total >= mass:
                break
    return out / out.sum(-1, keepdim=True)


@right("lm.kneser_ney")
def pair_by_pair(tokens, size, discount):
    pairs = list(zip(tokens[:-1].tolist(), tokens[1:].tolist(), strict=True))
    kinds = set(pairs)
    after = [sum(w == other for _, other in kinds) for w in range(size)]
    lower = [
        max(after[w] - discount, 0) / len(kinds) + discount * sum(a > 0 for a in after) / len(kinds) / size
        for w in range(size)
    ]
    out = torch.zeros(size, size, dtype=torch.float64)
    for v in range(size):
        followers = [w for first, w in pairs if first == v]
        for w in range(size):
            if not followers:
                out[v, w] = lower[w]
                continue
            saved = discount * len(set(followers)) / len(followers)
            out[v, w] = max(followers.count(w) - discount, 0) / len(followers) + saved * lower[w]
    return out


@right("lm.kneser_ney")
def kneser_ney_by_numpy(tokens, size, discount):
    counts = np.zeros((size, size))
    np.add.at(counts, (tokens[:-1].numpy(), tokens[1:].numpy()), 1)
    kinds = counts > 0
    after = kinds.sum(0)
    lower = (np.maximum(after - discount, 0) + discount * (after > 0).sum() / size) / after.sum()
    out = np.tile(lower, (size, 1))
    seen = counts.sum(1) > 0
    rows = counts[seen]
    out[seen] = np.maximum(rows - discount, 0) + discount * kinds[seen].sum(1, keepdims=True) * lower
    out[seen] /= rows.sum(1, keepdims=True)
    return torch.from_numpy(out)


@right("lm.cached_step")
def step_by_the_library(q, k, v, keys, values, rotate):
    both = rotate(torch.stack([q, k], 2), torch.full((2,), keys.shape[2]))
    keys = torch.cat([keys, both[:, :, 1:]], 2)
    values = torch.cat([values, v.unsqueeze(2)], 2)
    return F.scaled_dot_product_attention(both[:, :, :1], keys, values).squeeze(2), keys, values


@right("lm.cached_step")
def both_turned_as_more_heads(q, k, v, keys, values, rotate):
    both = rotate(torch.cat([q, k], 1)[:, :, None], torch.tensor([keys.shape[2]]))
    q, k = both.chunk(2, 1)
    keys, values = torch.cat([keys, k], 2), torch.cat([values, v[:, :, None]], 2)
    return F.scaled_dot_product_attention(q, keys, values)[:, :, 0], keys, values


@right("lm.cached_step")
def into_space_kept_free(q, k, v, keys, values, rotate):
    n, heads, t, dim = keys.shape
    longer, more = (torch.empty(n, heads, t + 1, dim, dtype=q.dtype) for _ in range(2))
    longer[:, :, :t], more[:, :, :t] = keys, values
    longer[:, :, t:] = rotate(k.reshape(n, heads, 1, dim), torch.tensor([t]))
    more[:, :, t] = v
    q = rotate(q.reshape(n, heads, 1, dim), torch.tensor([t]))
    weights = torch.einsum("bhqd,bhsd->bhs", q, longer).div(dim**0.5).softmax(-1)
    return torch.einsum("bhs,bhsd->bhd", weights, more), longer, more


@right("lm.speculative")
def token_by_token_in_python(p, q):
    accept, residual = torch.ones_like(p), p.clone()
    for row in range(len(p)):
        excess = [max(a - b, 0.0) for a, b in zip(p[row].tolist(), q[row].tolist(), strict=True)]
        for x in range(p.shape[1]):
            if q[row, x] > 0:
                accept[row, x] = min(1.0, (p[row, x] / q[row, x]).item())
            if sum(excess) > 0:
                residual[row, x] = excess[x] / sum(excess)
    return accept, residual


@right("lm.speculative")
def by_minima(p, q):
    common = torch.minimum(p, q)
    accept = (common / q).nan_to_num(nan=1.0)
    accept[q == 0] = 1.0
    left = p - common
    left[(p == q).all(1)] = p[(p == q).all(1)]
    return accept, left / left.sum(1, keepdim=True)


@right("lm.lora_fit")
def by_roots(change, rank, alpha):
    """The root of each singular value to both matrices, and of the scaling, too."""
    u, s, vh = np.linalg.svd(change.numpy(), full_matrices=False)
    root = np.sqrt(s[:rank] * rank / alpha)
    return torch.from_numpy(root[:, None] * vh[:rank]), torch.from_numpy(u[:, :rank] * root)


@right("lm.lora_fit")
def by_eigenvectors(change, rank, alpha):
    """A projects on the first eigenvectors of ΔᵀΔ."""
    vectors = torch.linalg.eigh(change.T @ change).eigenvectors[:, -rank:]
    return vectors.T, change @ vectors * rank / alpha


@right("lm.train")
def by_a_recurrent_network(x_train):
    """No attention: a network that remembers."""
    torch.manual_seed(0)
    embedding, cell, head = nn.Embedding(14, 32), nn.GRU(32, 128, batch_first=True), nn.Linear(128, 13)
    parameters = [*embedding.parameters(), *cell.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=6e-3)
    steps = 400
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps, pct_start=0.1)

    def network(x):
        return head(cell(embedding(F.pad(x[:, :-1], (1, 0), value=13)))[0]).log_softmax(-1)

    for step in range(steps):
        x = x_train[torch.arange(64 * step, 64 * (step + 1)) % len(x_train)]
        loss = F.nll_loss(network(x).flatten(0, 1), x.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    for parameter in parameters:
        parameter.requires_grad_(False)
    return network


@right("lm.train")
def by_counting_and_a_rule(x_train):
    """Whoever has understood the language counts the small talk, and copies the name."""
    counts = torch.full((13, 13), 0.3, dtype=torch.float64)
    for x in x_train.tolist():
        said = 0
        for t in range(3, len(x)):
            said = 3 if x[t - 1] == 12 else said - 1
            if said <= 0:
                counts[x[t - 1], x[t]] += 1
    chain = (counts / counts.sum(1, keepdim=True)).log()
    first = torch.full((13,), 1 / 12 - 1e-4 / 12, dtype=torch.float64)
    first[12] = 1e-4

    def log_prob(x):
        out = torch.zeros(*x.shape, 13, dtype=torch.float64)
        out[:, :3] = first.log()
        for line, row in zip(x.tolist(), out, strict=True):
            for t in range(3, len(line)):
                said = next((i for i in range(3) if line[t - 1 - i] == 12), None)
                row[t] = chain[line[t - 1]] if said is None else math.log(1e-4)
                if said is not None:
                    row[t, line[said]] = math.log(1 - 12e-4)
        return out

    return log_prob
