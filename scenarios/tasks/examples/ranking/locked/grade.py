"""NDCG at 10 and the mean reciprocal rank (Jarvelin & Kekalainen 2002; gains 2^g - 1)."""

import json
import math

QUERIES = {f"q{number:02d}" for number in range(45)}
DOCUMENTS = {f"d{number:02d}" for number in range(60)}
DEPTH = 10


def check(artifact) -> None:
    """Refuse what is no ranking of every query.

    Args:
        artifact: ``{query: [document, ...]}``.

    Raises:
        ValueError: why.
    """
    if not isinstance(artifact, dict) or set(artifact) != QUERIES:
        raise ValueError("leave one list for each of the queries q00 to q44")
    for query, ranked in artifact.items():
        is_list = isinstance(ranked, list) and len(ranked) <= DEPTH
        if not is_list or not all(isinstance(name, str) for name in ranked):
            raise ValueError(f"{query}: leave a list of at most {DEPTH} names")
        if not set(ranked) <= DOCUMENTS or len(set(ranked)) != len(ranked):
            raise ValueError(f"{query}: every name is one of d00 to d59, and none comes twice")


def score(artifact, held_out) -> dict:
    """Return mean NDCG at 10 and MRR over this split's queries, and NDCG of the rare ones."""
    relevant = json.loads(held_out["relevant.json"])
    rare = json.loads(held_out["rare.json"])
    ndcg = {query: _ndcg(artifact[query], grades) for query, grades in relevant.items()}
    ranks = [
        next((1 / rank for rank, name in enumerate(artifact[query], 1) if name in grades), 0.0)
        for query, grades in relevant.items()
    ]
    return {
        "ndcg_at_10": math.fsum(ndcg.values()) / len(ndcg),
        "mrr": math.fsum(ranks) / len(ranks),
        "ndcg_of_rare": math.fsum(ndcg[query] for query in rare) / len(rare),
    }


def _ndcg(ranked, grades) -> float:
    best = sorted(grades.values(), reverse=True)[:DEPTH]
    ideal = _gain(best)
    return _gain([grades.get(name, 0) for name in ranked]) / ideal if ideal else 1.0


def _gain(grades) -> float:
    return math.fsum((2**grade - 1) / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))
