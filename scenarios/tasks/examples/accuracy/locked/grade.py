"""Accuracy, and the recall of each class: the share of its points that were found."""

import json

COUNT, CLASSES = 360, 3


def check(artifact) -> None:
    """Refuse what is no list of labels.

    Args:
        artifact: An array, as npy holds it.

    Raises:
        ValueError: why.
    """
    if artifact.shape != (COUNT,) or artifact.dtype.kind not in "iu":
        raise ValueError(f"leave {COUNT} whole numbers, not {artifact.dtype} of {artifact.shape}")
    if artifact.min() < 0 or artifact.max() >= CLASSES:
        raise ValueError(f"labels are 0 to {CLASSES - 1}")


def score(artifact, held_out) -> dict:
    """Return the accuracy on the labels of this split, and recalls by class."""
    labels = {int(name): label for name, label in json.loads(held_out["labels.json"]).items()}
    right = {place: int(artifact[place]) == label for place, label in labels.items()}
    found = {"accuracy": sum(right.values()) / len(right)}
    for label in range(CLASSES):
        of_class = [right[place] for place in labels if labels[place] == label]
        found[f"recall_of_{label}"] = sum(of_class) / max(1, len(of_class))
    return found
