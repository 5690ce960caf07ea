"""Wrong answers of chapter 13: a merge of byte-pair encoding."""

from collections import Counter
from itertools import pairwise

from wrong_answers import wrong


def counted(words, counts):
    found = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            found[pair] += count
    return found


def smallest(found):
    return min(found, key=lambda pair: (-found[pair], pair))


def replaced(word, pair, new):
    out, i = [], 0
    while i < len(word):
        if tuple(word[i : i + 2]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


def merged(words, pair, new, rewrite=replaced):
    return pair, [rewrite(word, pair, new) for word in words]


@wrong("lm.bpe_merge", says="You count each word once")
def counts_forgotten(words, counts, new):
    return merged(words, smallest(counted(words, [1] * len(words))), new)


@wrong("lm.bpe_merge", says="Of several pairs with the same count you take the one that was seen first")
def most_common(words, counts, new):
    return merged(words, counted(words, counts).most_common(1)[0][0], new)


@wrong("lm.bpe_merge", says="Of several pairs with the same count you take the largest")
def largest_of_equals(words, counts, new):
    found = counted(words, counts)
    return merged(words, max(found, key=lambda pair: (found[pair], pair)), new)


@wrong("lm.bpe_merge", says="with the smallest second id")
def by_second_id(words, counts, new):
    found = counted(words, counts)
    return merged(words, min(found, key=lambda pair: (-found[pair], pair[1], pair[0])), new)


@wrong("lm.bpe_merge", says="across the borders of words")
def one_long_text(words, counts, new):
    text = [token for word in words for token in word]
    return merged(words, smallest(counted([text], [1])), new)


@wrong("lm.bpe_merge", says="You count a pair once for each word that holds it")
def once_a_word(words, counts, new):
    found = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in set(pairwise(word)):
            found[pair] += count
    return merged(words, smallest(found), new)


@wrong("lm.bpe_merge", says="You count places that overlap only once")
def no_overlap_counted(words, counts, new):
    found = Counter()
    for word, count in zip(words, counts, strict=True):
        last = {}
        for i, pair in enumerate(pairwise(word)):
            if last.get(pair, -2) < i - 1:
                found[pair] += count
                last[pair] = i
    return merged(words, smallest(found), new)


@wrong("lm.bpe_merge", says="You do not add up the places of a pair")
def assigned(words, counts, new):
    found = {}
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            found[pair] = max(count, found.get(pair, 0))
    return merged(words, smallest(found), new)


@wrong("lm.bpe_merge", says="as one pair: their order matters")
def unordered(words, counts, new):
    found = Counter()
    for word, count in zip(words, counts, strict=True):
        for a, b in pairwise(word):
            found[min(a, b), max(a, b)] += count
    return merged(words, smallest(found), new)


@wrong("lm.bpe_merge", says="You replace from right to left")
def from_the_right(words, counts, new):
    pair = smallest(counted(words, counts))
    return pair, [replaced(word[::-1], pair[::-1], new)[::-1] for word in words]


@wrong("lm.bpe_merge", says="the middle token of [7, 7, 7] is used twice")
def overlapping(words, counts, new):
    pair = smallest(counted(words, counts))
    made = []
    for word in words:
        places = [i for i in range(len(word) - 1) if (word[i], word[i + 1]) == pair]
        covered = {i + 1 for i in places}
        made.append([new if i in places else token for i, token in enumerate(word) if i in places or i not in covered])
    return pair, made


@wrong("lm.bpe_merge", says="The second token of a pair stays where it was")
def second_stays(words, counts, new):
    pair = smallest(counted(words, counts))
    return pair, [[new if tuple(word[i : i + 2]) == pair else word[i] for i in range(len(word))] for word in words]


@wrong("lm.bpe_merge", says="You replace the pair in each word only once")
def first_place_only(words, counts, new):
    def once(word, pair, new):
        places = [i for i in range(len(word)) if tuple(word[i : i + 2]) == pair]
        return [*word[: places[0]], new, *word[places[0] + 2 :]] if places else word

    return merged(words, smallest(counted(words, counts)), new, once)


@wrong("lm.bpe_merge", says="You replace every pair that begins with the same token")
def by_first_token(words, counts, new):
    def loosely(word, pair, new):
        out, i = [], 0
        while i < len(word):
            fits = word[i] == pair[0] and i + 1 < len(word)
            out.append(new if fits else word[i])
            i += 1 + fits
        return out

    return merged(words, smallest(counted(words, counts)), new, loosely)


@wrong("lm.bpe_merge", says="The last token of a word is lost")
def last_lost(words, counts, new):
    def short(word, pair, new):
        out, i = [], 0
        while i < len(word) - 1:
            fits = (word[i], word[i + 1]) == pair
            out.append(new if fits else word[i])
            i += 1 + fits
        return out

    return merged(words, smallest(counted(words, counts)), new, short)


@wrong("lm.bpe_merge", says="The words are as they were")
def pair_alone(words, counts, new):
    return smallest(counted(words, counts)), words


@wrong("lm.bpe_merge", says="changes its argument `words` in place")
def in_place(words, counts, new):
    pair = smallest(counted(words, counts))
    for word in words:
        word[:] = replaced(word, pair, new)
    return pair, words


@wrong("lm.bpe_merge", says="The pair should be two token ids")
def pair_with_its_count(words, counts, new):
    return counted(words, counts).most_common(1)[0], words


@wrong("lm.bpe_merge", says="with the same count and first id")
def by_first_id_alone(words, counts, new):
    found = counted(words, counts)
    return merged(words, min(found, key=lambda pair: (-found[pair], pair[0])), new)


@wrong("lm.bpe_merge", says="the smallest as text")
def smallest_as_text(words, counts, new):
    found = counted(words, counts)
    return merged(words, min(found, key=lambda pair: (-found[pair], str(pair))), new)


@wrong("lm.bpe_merge", says="You replace digits of a text")
def digits_replaced(words, counts, new):
    pair = smallest(counted(words, counts))
    lines = [" ".join(map(str, word)).replace(f"{pair[0]} {pair[1]}", str(new)) for word in words]
    return pair, [[int(token) for token in line.split()] for line in lines]


@wrong("lm.bpe_merge", says="The pair is a list")
def pair_as_a_list(words, counts, new):
    pair, made = merged(words, smallest(counted(words, counts)), new)
    return list(pair), made
