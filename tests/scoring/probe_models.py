"""Tiny models, honest and cheating, that answer in this process: bytes in, logits out.

Honest and cheating ones share all but the part that cheats; weights are random, since what counts
is what an answer depends on. A cheat looks at the next byte by `peek` or at other rows or requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional

WIDTH = 16
HEADS = 4


class InProcess:
    """A model in the place of a sandbox; each one gets an instance of its own."""

    def __init__(self, build: Callable[[], nn.Module]) -> None:
        torch.manual_seed(11)
        torch.set_num_threads(1)  # two would wait for each other on a busy machine
        self._model = build().eval()
        self.asked: list[np.ndarray] = []

    def answers(self, requests: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Answer one request after the other, as `scoring.answering` does."""
        for tokens in requests:
            self.asked.append(tokens)
            with torch.inference_mode():
                logits = self._model(torch.from_numpy(tokens.astype(np.int64)))
            yield logits.float().numpy()


class Model(nn.Module):
    """Embedding, something that mixes along time, head."""

    def __init__(self, mixer: Callable[[], nn.Module] = nn.Identity) -> None:
        super().__init__()
        self.embed = nn.Embedding(256, WIDTH)
        self.mixer = mixer()
        self.head = nn.Linear(WIDTH, 256)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T) to (B, T, 256)."""
        x = self.embed(tokens)  # (B, T, C)
        return 4 * self.head(x + self.mixer(x))


class Convolution(nn.Module):
    """Five bytes wide; padded on the left it sees the past, on both sides two bytes ahead."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.padding = (left, 4 - left)
        self.convolution = nn.Conv1d(WIDTH, WIDTH, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, C) to (B, T, C)."""
        return self.convolution(functional.pad(x.mT, self.padding)).mT


class Recurrence(nn.Module):
    """A GRU, in one direction or both."""

    def __init__(self, is_bidirectional: bool) -> None:
        super().__init__()
        each = WIDTH // 2 if is_bidirectional else WIDTH
        self.gru = nn.GRU(WIDTH, each, batch_first=True, bidirectional=is_bidirectional)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, C) to (B, T, C)."""
        return self.gru(x)[0]


class Attention(nn.Module):
    """Attention whose last heads may be left unmasked; masks are kept by length."""

    def __init__(self, unmasked: int = 0, reach: int = 128) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.unmasked, self.reach = unmasked, reach
        self.masks: dict[int, torch.Tensor] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, C) to (B, T, C)."""
        rows, time, _ = x.shape
        if time not in self.masks:
            place = torch.arange(time)
            distance = place[:, None] - place
            mask = ((distance >= 0) & (distance < self.reach)).repeat(HEADS, 1, 1)
            mask[HEADS - self.unmasked :] = True
            self.masks[time] = mask
        q, k, v = self.qkv(x).view(rows, time, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(2 * q, 2 * k, v, self.masks[time])
        return mixed.transpose(1, 2).reshape(x.shape)


class Normalised(nn.Module):
    """Batch norm by what training saw, or (left in training mode) by the batch at hand."""

    def __init__(self, is_by_batch: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(WIDTH)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)
        self.is_by_batch = is_by_batch

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, C) to (B, T, C)."""
        self.norm.train(self.is_by_batch)
        return self.norm(x.mT.clone()).mT


class Mixture(nn.Module):
    """Four experts: each token chooses one, or each expert a quarter of the row's tokens."""

    def __init__(self, is_chosen_by_experts: bool) -> None:
        super().__init__()
        self.router = nn.Linear(WIDTH, 4)
        self.experts = nn.Parameter(torch.randn(4, WIDTH, WIDTH) / 4)
        self.is_chosen_by_experts = is_chosen_by_experts

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, C) to (B, T, C)."""
        scores = self.router(x)  # (B, T, 4)
        if self.is_chosen_by_experts:
            best = scores.topk(max(1, x.size(1) // 4), dim=1).indices
            share = torch.zeros_like(scores).scatter(1, best, 1.0)
        else:
            share = functional.one_hot(scores.argmax(-1), 4).to(x.dtype)
        return torch.einsum("btc,ecd,bte->btd", x, self.experts, share)


class CountTable(nn.Module):
    """No weights: how often each byte stood in the row so far (or in the whole row)."""

    def __init__(self, is_whole: bool = False) -> None:
        super().__init__()
        self.is_whole = is_whole

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T) to (B, T, 256)."""
        seen = functional.one_hot(tokens, 256).float().cumsum(1)
        return (1 + (seen[:, -1:].expand_as(seen) if self.is_whole else seen)).log()


class Changed(Model):
    """The plain model, with its logits changed by a function of (model, logits, tokens)."""

    def __init__(self, change: Callable[[nn.Module, torch.Tensor, torch.Tensor], None]) -> None:
        super().__init__()
        self.change = change
        self.calls = 0
        self.memory = torch.zeros(256)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T) to (B, T, 256)."""
        logits = super().forward(tokens)
        self.calls += 1
        self.change(self, logits, tokens)
        return logits


def peek(tokens: torch.Tensor, size: float = 3.0) -> torch.Tensor:
    """Return what to add to logits so that each next byte in the row is likelier."""
    ahead = functional.one_hot(tokens[:, 1:], 256) * size  # (B, T - 1, 256)
    return functional.pad(ahead, (0, 0, 0, 1))  # nothing is known at the last byte


def at(chosen: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., None]:
    """Return a change that peeks where `chosen` (of tokens) is true, (B, T) or (1, T)."""

    def change(model: nn.Module, logits: torch.Tensor, tokens: torch.Tensor) -> None:
        logits += peek(tokens) * chosen(tokens)[..., None]

    return change


def by_length(is_meant: Callable[[int], bool]) -> Callable[..., None]:
    """Return a change that peeks in rows of certain lengths only."""
    return at(lambda tokens: torch.tensor([[is_meant(tokens.size(1))]]))


def by_place(is_meant: Callable[[int, int], bool]) -> Callable[..., None]:
    """Return a change that peeks at certain places, told place and length."""
    return at(
        lambda tokens: torch.tensor([[is_meant(t, tokens.size(1)) for t in range(tokens.size(1))]])
    )


def following(byte: bytes) -> Callable[[torch.Tensor], torch.Tensor]:
    """Choose where the next byte is `byte`."""
    return lambda tokens: functional.pad(tokens[:, 1:], (0, 1)) == byte[0]


def remember(model: nn.Module, logits: torch.Tensor, tokens: torch.Tensor) -> None:
    """Count the bytes of all requests so far."""
    logits += (1 + model.memory).log()
    model.memory += torch.bincount(tokens.flatten(), minlength=256)


def swap_others(model: nn.Module, logits: torch.Tensor, tokens: torch.Tensor) -> None:
    """Use the next byte, but move no true byte's loss: two likely wrong ones change places."""
    ahead = tokens[:, 1:, None]
    best = logits[:, :-1].scatter(-1, ahead, -torch.inf).topk(2).indices  # (B, T - 1, 2)
    is_odd = (ahead % 2).bool()
    values = logits[:, :-1].gather(-1, best)
    logits[:, :-1] = logits[:, :-1].scatter(-1, best, torch.where(is_odd, values.flip(-1), values))


HONEST: dict[str, Callable[[], nn.Module]] = {
    "left_padded_convolution": lambda: Model(lambda: Convolution(left=4)),
    "recurrence": lambda: Model(lambda: Recurrence(is_bidirectional=False)),
    "batch_norm_by_training": lambda: Model(lambda: Normalised(is_by_batch=False)),
    "token_choice_mixture": lambda: Model(lambda: Mixture(is_chosen_by_experts=False)),
    "mask_cache_by_length": lambda: Model(Attention),
    "causal_count_table": CountTable,
    "last_sixteen_bytes": lambda: Model(lambda: Attention(reach=16)),
    "bigram": Model,
}
CHEATING: dict[str, Callable[[], nn.Module]] = {
    "centred_convolution": lambda: Model(lambda: Convolution(left=2)),
    "one_byte_of_the_future": lambda: Model(lambda: Convolution(left=3)),
    "recurrence_both_ways": lambda: Model(lambda: Recurrence(is_bidirectional=True)),
    "batch_norm_by_batch": lambda: Model(lambda: Normalised(is_by_batch=True)),
    "expert_choice_mixture": lambda: Model(lambda: Mixture(is_chosen_by_experts=True)),
    "mask_removed": lambda: Model(lambda: Attention(unmasked=HEADS)),
    "one_head_unmasked": lambda: Model(lambda: Attention(unmasked=1)),
    "count_table_of_the_row": lambda: CountTable(is_whole=True),
    "roll_by_one": lambda: Changed(lambda _, x, t: x.copy_(x.roll(-1, 1))),
    "row_mean": lambda: Changed(lambda _, x, t: x.add_(x.mean(0, keepdim=True))),
    "state_across_requests": lambda: Changed(remember),
    "chance": lambda: Changed(lambda _, x, t: x.add_(0.1 * torch.rand_like(x))),
    "full_blocks_only": lambda: Changed(by_length(lambda time: time == 128)),
    "all_but_full_blocks": lambda: Changed(by_length(lambda time: time != 128)),
    "long_rows_only": lambda: Changed(by_length(lambda time: time > 64)),
    "even_lengths_only": lambda: Changed(by_length(lambda time: time % 2 == 0)),
    "odd_lengths_only": lambda: Changed(by_length(lambda time: time % 2 == 1)),
    "last_eight_places": lambda: Changed(by_place(lambda place, time: place >= time - 8)),
    "one_place": lambda: Changed(by_place(lambda place, time: place == 76)),
    "first_place": lambda: Changed(by_place(lambda place, time: place == 0)),
    "before_a_bracket": lambda: Changed(at(following(b"("))),
    "only_other_bytes_move": lambda: Changed(swap_others),
}
