"""Packs 26 circles into the unit square; what counts is the sum of their radii.

`solve` lays out centres by a pattern, moves them by a penalty method, lets radii grow as far as
there is room, and keeps the best packing that it came upon until the budget ends. Constants above
the first function may be turned; everything may be rewritten.
"""

from __future__ import annotations

import numpy as np

COUNT = 26
"""Fixed by the task."""

# How the centres are laid out: grid (rows and columns), hexagonal (rows shifted by half), rings
# (one inside the other), random.
PATTERN = "grid"

# Rows of the grid and of the hexagonal pattern.
ROWS = 6

# How far each centre is then moved at random, in sides of the square (standard deviation).
JITTER = 0.001

# How many packings are improved side by side.
STARTS = 1

# What moves the centres: descent (plain gradient) or adam (Kingma & Ba 2015).
OPTIMISER = "descent"

# Steps of one attempt, from the pattern to the finished packing.
STEPS = 60

# Length of a step at the beginning of an attempt, in sides of the square for adam; it falls to a
# hundredth of that.
RATE = 0.0005

# Weight of overlaps at the beginning of an attempt: sum of radii - weight / 2 * sum of overlaps^2.
WEIGHT_FIRST = 20.0

# The same at its end.
WEIGHT_LAST = 500.0

# How a packing is finished: shrink (all radii by one factor until nothing overlaps), grow (each as
# far as there is room, one after the other), contacts (Newton's method on the circles that almost
# touch, then grow).
FINISH = "grow"

# Where an attempt begins: fresh (the pattern) or best (the best packing so far, shaken).
AFTERWARDS = "fresh"

# How far centres are shaken then, in sides of the square (standard deviation).
SHAKE = 0.01

# Share of the circles that are shaken; the others stay.
SHAKEN = 1.0

# Circles whose gap is below this are taken to touch, in sides of the square.
NEAR = 0.002

FIRST, SECOND = np.triu_indices(COUNT, 1)
"""The pairs of circles, shape (325,) each."""
GAP = 2e-15
"""Room that is left between circles, so that decimals which are read exactly do not overlap."""


def solve(run) -> dict:
    """Return the best packing that was found: ``{"circles": [[x, y, r], ...]}``."""
    rng = np.random.default_rng(run.seed)
    best = finished(begin(rng, None)[0])
    place = begin(rng, best)
    moved, step, waiting = Moved(place.shape), 0, []
    for _ in run.steps():
        if step < STEPS:
            ascend(place, moved, step)
            step += 1
            waiting = list(place)
            continue
        one = finished(waiting.pop())  # one a step, so that no step is long
        if one[:, 2].min() > 0 and one[:, 2].sum() > best[:, 2].sum():
            best = one
        if not waiting:
            place = begin(rng, best)
            moved, step = Moved(place.shape), 0
    return {"circles": best.tolist()}


def pattern(rng: np.random.Generator) -> np.ndarray:
    """Return centres, float64 of shape (26, 2)."""
    if PATTERN == "random":
        return rng.uniform(0.05, 0.95, (COUNT, 2))
    if PATTERN == "rings":
        rings = [(1, 0.0), (9, 0.24), (16, 0.43)]
        parts = []
        for many, radius in rings:
            turn = 2 * np.pi * (np.arange(many) + rng.uniform()) / many
            # towards the corners: the outer ring is a rounded square
            wide = radius * (1 + 0.1 * (radius > 0.4) * np.cos(4 * turn - np.pi) ** 2)
            parts.append(0.5 + np.stack([wide * np.cos(turn), wide * np.sin(turn)], axis=1))
        return np.concatenate(parts)
    columns = -(-COUNT // ROWS)
    spots = []
    for row in range(ROWS):
        shift = (0.25 if row % 2 else -0.25) if PATTERN == "hexagonal" else 0.0
        spots += [
            ((column + 0.5 + shift) / columns, (row + 0.5) / ROWS) for column in range(columns)
        ]
    chosen = np.sort(rng.permutation(len(spots))[:COUNT])
    return np.clip(np.array(spots)[chosen], 0.02, 0.98)


def begin(rng: np.random.Generator, best: np.ndarray | None) -> np.ndarray:
    """Return what an attempt begins with: x, y, r, float64 of shape (STARTS, 26, 3)."""
    place = np.empty((STARTS, COUNT, 3))
    for start in range(STARTS):
        if AFTERWARDS == "best" and best is not None:
            is_shaken = rng.uniform(size=(COUNT, 1)) < SHAKEN
            place[start, :, :2] = best[:, :2] + SHAKE * is_shaken * rng.normal(size=(COUNT, 2))
            place[start, :, 2] = best[:, 2]
        else:
            place[start, :, :2] = pattern(rng) + JITTER * rng.normal(size=(COUNT, 2))
            place[start, :, 2] = 0.05
    place[:, :, :2] = inside(place[:, :, :2])
    return place


def inside(centres: np.ndarray) -> np.ndarray:
    """Fold centres beyond a side back into the square, so that no two meet in a corner."""
    return np.clip(np.abs((centres + 1) % 2 - 1), 1e-3, 1 - 1e-3)


class Moved:
    """What adam remembers."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.mean = np.zeros(shape)
        self.square = np.zeros(shape)


def ascend(place: np.ndarray, moved: Moved, step: int) -> None:
    """Take one step of an attempt, in place."""
    share = step / max(1, STEPS - 1)
    weight = WEIGHT_FIRST * (WEIGHT_LAST / WEIGHT_FIRST) ** share
    rate = RATE * 0.01**share
    slope = gradient(place, weight)
    if OPTIMISER == "descent":
        place += np.clip(rate * slope, -0.02, 0.02)
    else:
        moved.mean += 0.1 * (slope - moved.mean)
        moved.square += 0.01 * (slope * slope - moved.square)
        scale = np.sqrt(moved.square / (1 - 0.99 ** (step + 1))) + 1e-9
        place += rate * moved.mean / (1 - 0.9 ** (step + 1)) / scale


def gradient(place: np.ndarray, weight: float) -> np.ndarray:
    """Return the slope of sum r - weight / 2 * sum of squared overlaps, of the shape of `place`."""
    x, y, r = place[..., 0], place[..., 1], place[..., 2]
    dx, dy = x[:, FIRST] - x[:, SECOND], y[:, FIRST] - y[:, SECOND]
    distance = np.sqrt(dx * dx + dy * dy) + 1e-12
    over = np.maximum(r[:, FIRST] + r[:, SECOND] - distance, 0)
    pull = weight * over / distance
    sides = np.zeros((len(place), COUNT, COUNT, 3))
    sides[:, FIRST, SECOND, 0] = pull * dx
    sides[:, FIRST, SECOND, 1] = pull * dy
    sides[:, FIRST, SECOND, 2] = -weight * over
    slope = sides.sum(2) + sides.sum(1) * np.array([-1.0, -1.0, 1.0])
    slope[..., 2] += 1
    for axis in (0, 1):
        low = np.maximum(r - place[..., axis], 0)
        high = np.maximum(place[..., axis] + r - 1, 0)
        slope[..., axis] += weight * (low - high)
        slope[..., 2] -= weight * (low + high)
    slope[..., 2] -= weight * np.minimum(r, 0)
    return slope


def finished(place: np.ndarray) -> np.ndarray:
    """Return a packing in which nothing overlaps: x, y, r, float64 of shape (26, 3)."""
    one = place.copy()
    one[:, :2] = inside(one[:, :2])
    one[:, 2] = np.maximum(one[:, 2], 1e-4)
    if FINISH == "contacts":
        one = tightened(one)
    one = shrunk(one)
    return one if FINISH == "shrink" else grown(one)


def shrunk(one: np.ndarray) -> np.ndarray:
    """Scale all radii by one factor, the largest that fits."""
    walls = np.minimum(one[:, :2], 1 - one[:, :2]).min(axis=1)
    apart = np.linalg.norm(one[FIRST, :2] - one[SECOND, :2], axis=1)
    fits = min((walls / one[:, 2]).min(), (apart / (one[FIRST, 2] + one[SECOND, 2])).min(), 1.0)
    one[:, 2] = one[:, 2] * fits - GAP
    return one


def grown(one: np.ndarray) -> np.ndarray:
    """Let each circle grow as far as there is room, the largest first."""
    apart = np.linalg.norm(one[:, None, :2] - one[None, :, :2], axis=2)
    walls = np.minimum(one[:, :2], 1 - one[:, :2]).min(axis=1)
    for index in np.argsort(-one[:, 2]):
        room = apart[index] - one[:, 2]
        room[index] = walls[index]
        one[index, 2] = max(one[index, 2], room.min() - GAP)
    return one


def tightened(one: np.ndarray) -> np.ndarray:
    """Solve for circles that touch where they almost do (Gauss-Newton, least change)."""
    for _ in range(6):
        away = one[FIRST, :2] - one[SECOND, :2]
        apart = np.maximum(np.linalg.norm(away, axis=1), 1e-9)
        gaps = apart - one[FIRST, 2] - one[SECOND, 2]
        near = np.flatnonzero(gaps < NEAR)
        slopes = np.zeros((len(near), COUNT, 3))
        at, unit = np.arange(len(near)), away[near] / apart[near, None]
        slopes[at, FIRST[near], :2], slopes[at, SECOND[near], :2] = unit, -unit
        slopes[at, FIRST[near], 2] = slopes[at, SECOND[near], 2] = -1
        rows, rooms = [slopes.reshape(-1, 3 * COUNT)], [gaps[near]]
        for axis in (0, 1):
            for sign in (1, -1):
                room = (one[:, axis] if sign > 0 else 1 - one[:, axis]) - one[:, 2]
                touching = np.flatnonzero(room < NEAR)
                slopes = np.zeros((len(touching), COUNT, 3))
                slopes[np.arange(len(touching)), touching, axis] = sign
                slopes[np.arange(len(touching)), touching, 2] = -1
                rows.append(slopes.reshape(-1, 3 * COUNT))
                rooms.append(room[touching])
        change = np.linalg.lstsq(np.concatenate(rows), -np.concatenate(rooms), rcond=1e-10)[0]
        one = one + change.reshape(COUNT, 3)
        if not np.abs(change).max(initial=0.0) > 1e-14:
            break
    one[:, :2] = inside(one[:, :2])
    one[:, 2] = np.maximum(one[:, 2], 1e-4)
    return one
