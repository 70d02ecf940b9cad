"""Make token shards of a folder of text: ``python make_shards.py TEXT SHARDS [--vocab 8192]``.

Learns a byte-pair vocabulary (Sennrich et al. 2016, arXiv 1508.07909) over bytes, so that any text
can be written in it, and writes what `nanolm-gpu` reads: whole files go to training or to one of
the three held-out splits, never in part. Needs numpy alone.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

BYTES = 256
END = BYTES
"""The mark between documents: the one token that stands for no byte."""
WORD = re.compile(rb" ?[A-Za-z_]+| ?[0-9]{1,3}| ?[^\sA-Za-z_0-9]+|\s+(?!\S)|\s")
"""Pairs are merged within such pieces alone."""
SPLITS = ("dev", "vault", "seal")
SHARD_TOKENS = 16_000_000
Pair = tuple[int, int]


def learn(counts: Counter[bytes], vocab: int) -> dict[Pair, int]:
    """Return the merges in their order: a pair of tokens, and the token that it becomes.

    Args:
        counts: How often each piece occurs.
        vocab: Tokens there are to be: the bytes, `END`, and one per merge.
    """
    words = [list(word) for word in counts]
    weight = list(counts.values())
    pairs: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)
    for index, word in enumerate(words):
        for pair in pairwise(word):
            pairs[pair] += weight[index]
            where[pair].add(index)
    queue = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(queue)
    merges: dict[Pair, int] = {}
    while queue and len(merges) < vocab - BYTES - 1:
        count, pair = heapq.heappop(queue)
        if -count != pairs[pair] or count >= -1:
            continue  # an older count of it is still in the queue, or it occurs once
        token = merges[pair] = BYTES + 1 + len(merges)
        changed: set[Pair] = set()
        for index in where.pop(pair):
            old = words[index]
            new = merged(old, pair, token)
            for each in pairwise(old):
                pairs[each] -= weight[index]
                changed.add(each)
            for each in pairwise(new):
                pairs[each] += weight[index]
                where[each].add(index)
                changed.add(each)
            words[index] = new
        for each in changed:
            if pairs[each] > 1:
                heapq.heappush(queue, (-pairs[each], each))
    return merges


def merged(word: list[int], pair: Pair, token: int) -> list[int]:
    """Return `word` with every `pair`, from the left, replaced by `token`."""
    found: list[int] = []
    at = 0
    while at < len(word):
        if at + 1 < len(word) and (word[at], word[at + 1]) == pair:
            found.append(token)
            at += 2
        else:
            found.append(word[at])
            at += 1
    return found


class Encoder:
    """Turns text into tokens."""

    def __init__(self, merges: dict[Pair, int]) -> None:
        self._merges = merges
        self._known: dict[bytes, list[int]] = {}

    def tokens(self, text: bytes) -> np.ndarray:
        """Return the tokens of one document, uint16, `END` first."""
        found = [END]
        for word in WORD.findall(text):
            if word not in self._known:
                self._known[word] = self._word(word)
            found += self._known[word]
        return np.array(found, dtype="<u2")

    def _word(self, word: bytes) -> list[int]:
        tokens = list(word)
        while len(tokens) > 1:
            pairs = set(pairwise(tokens))
            pair = min(pairs, key=lambda pair: self._merges.get(pair, 1 << 30))
            if pair not in self._merges:
                break
            tokens = merged(tokens, pair, self._merges[pair])
        return tokens


def token_bytes(merges: dict[Pair, int]) -> list[int]:
    """Return how many bytes each token stands for."""
    sizes = [1] * BYTES + [0]
    for left, right in merges:
        sizes.append(sizes[left] + sizes[right])
    return sizes


def files_below(folder: Path, suffixes: tuple[str, ...], most_bytes: int) -> list[Path]:
    """Return files of text below `folder`, mixed, in an order that is the same everywhere."""
    found = [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name.endswith(suffixes)
    ]
    found.sort(key=lambda path: hashlib.sha256(str(path.relative_to(folder)).encode()).digest())
    taken: list[Path] = []
    for path in found:
        most_bytes -= path.stat().st_size
        if most_bytes < 0:
            break
        taken.append(path)
    return taken


def parts(files: list[Path], share: float) -> dict[str, list[Path]]:
    """Deal the files: each held-out split gets whole ones until it has `share` of all bytes."""
    wanted = share * sum(path.stat().st_size for path in files)
    found: dict[str, list[Path]] = {split: [] for split in (*SPLITS, "train")}
    size = dict.fromkeys(SPLITS, 0)
    for path in files:
        part = next((split for split in SPLITS if size[split] < wanted), "train")
        found[part].append(path)
        if part != "train":
            size[part] += path.stat().st_size
    return found


def write(folder: Path, documents: Iterable[np.ndarray]) -> int:
    """Write shards of about `SHARD_TOKENS` each; returns how many tokens there were."""
    folder.mkdir(parents=True)
    total = 0
    for number, shard in enumerate(_shards(documents)):
        shard.tofile(folder / f"{number:05d}.bin")
        total += len(shard)
    return total


def _shards(documents: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    held: list[np.ndarray] = []
    count = 0
    for document in documents:
        held.append(document)
        count += len(document)
        if count >= SHARD_TOKENS:
            yield np.concatenate(held)
            held, count = [], 0
    if held:
        yield np.concatenate(held)


def main() -> None:
    """Read the arguments, make the shards, say what became of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("text", type=Path, help="folder of text, read with all below it")
    parser.add_argument("shards", type=Path, help="folder to be made")
    parser.add_argument("--vocab", type=int, default=8192, help="tokens there are to be (8192)")
    parser.add_argument(
        "--suffix", action="append", help="of files to read; any number (.txt .py .md)"
    )
    parser.add_argument("--heldout", type=float, default=0.02, help="share of each split (0.02)")
    parser.add_argument(
        "--learn-bytes", type=int, default=32 << 20, help="text that pairs are counted in"
    )
    parser.add_argument("--most-bytes", type=int, default=8 << 30, help="text to read at most")
    asked = parser.parse_args()
    if not BYTES + 2 <= asked.vocab <= 1 << 16:
        sys.exit(f"--vocab {asked.vocab}: give a number from {BYTES + 2} to 65536")
    if asked.shards.exists():
        sys.exit(f"{asked.shards} is there already: give a new folder, or remove it")
    files = files_below(asked.text, tuple(asked.suffix or (".txt", ".py", ".md")), asked.most_bytes)
    dealt = parts(files, asked.heldout)
    if not all(dealt.values()):
        sys.exit(f"{asked.text} has {len(files)} files of text, too few for four parts: add some")
    counts: Counter[bytes] = Counter()
    left = asked.learn_bytes
    for path in dealt["train"]:
        if left <= 0:
            break
        text = path.read_bytes()[:left]
        counts.update(WORD.findall(text))
        left -= len(text)
    merges = learn(counts, asked.vocab)
    encoder = Encoder(merges)
    for part, paths in dealt.items():
        tokens = write(asked.shards / part, (encoder.tokens(path.read_bytes()) for path in paths))
        print(f"{part:6s} {len(paths):7d} files {tokens:12,d} tokens")
    sizes = token_bytes(merges)
    meta = {"dtype": "uint16", "vocab": len(sizes), "token_bytes": sizes}
    (asked.shards / "meta.json").write_text(json.dumps(meta))
    print(
        f"{len(sizes)} different tokens; next: community lock write TASK --heldout {asked.shards}"
    )


if __name__ == "__main__":
    main()
