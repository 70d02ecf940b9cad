"""A small convolutional network that reads handwritten digits: one file, plain PyTorch.

The harness seeds torch, calls `build_model()`, then `train(model, run)`; afterwards it takes the
state dict and scores it elsewhere, on images that this file never sees. The knobs come first, then
the model and the loop. Shapes at line ends: B images, C channels, and 8 x 8 pixels.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

# ---- knobs: one literal each, and a comment line between any two so that edits of two merge ----

# Channels of every convolution.
WIDTH = 16
# Number of 3 x 3 convolutions, one after another.
DEPTH = 2
# Squares of so many pixels a side are averaged before the dense layer; 1 keeps them all.
POOL = 1
# Width of the dense layer between the pixels and the ten answers.
HIDDEN = 256
# What follows each convolution: none, group or batch.
NORM = "none"
# Non-linearity: relu, gelu or silu.
ACTIVATION = "relu"
# Share of the dense layer's inputs that are dropped in training.
DROPOUT = 0.0
# Training images are moved by up to so many pixels each way.
SHIFT = 1
# Standard deviation of what is added to each pixel of a training image, in units of ink (0 to 16).
INK = 0.5
# Training images are turned by up to so many degrees either way.
TURN = 0.0
# Images per optimiser step.
BATCH = 32
# What updates the weights: sgd or adamw.
OPTIMIZER = "adamw"
# Peak learning rate; sgd takes thirty times as much.
LR = 0.001
# Decoupled weight decay.
WEIGHT_DECAY = 0.01
# Memory of the gradient: momentum of sgd, beta1 of adamw.
BETA1 = 0.9
# Share of the target that is spread over all ten digits.
SMOOTHING = 0.0
# Share of the budget over which the learning rate rises from 0.
WARMUP = 0.05
# Share of the budget, at its end, over which the learning rate falls back to 0.
WARMDOWN = 0.3

# ---- the model ----

SIDE, PIXELS, CLASSES = 8, 64, 10
INK_MOST = 16
SGD_TIMES = 30


class Stage(nn.Module):
    """A 3 x 3 convolution, its norm and a non-linearity."""

    def __init__(self, inputs):
        super().__init__()
        self.mix = nn.Conv2d(inputs, WIDTH, 3, padding=1)
        self.norm = {
            "none": nn.Identity,
            "group": lambda: nn.GroupNorm(1, WIDTH),
            "batch": lambda: nn.BatchNorm2d(WIDTH),
        }[NORM]()

    def forward(self, x):
        return getattr(F, ACTIVATION)(self.norm(self.mix(x)))  # (B, C, 8, 8)


class Reader(nn.Module):
    """Pixels in, ten logits out."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(Stage(WIDTH if i else 1) for i in range(DEPTH))
        self.dense = nn.Linear(WIDTH * (SIDE // POOL) ** 2, HIDDEN)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, images):
        x = images.float().view(-1, 1, SIDE, SIDE) / INK_MOST  # (B, 1, 8, 8)
        for stage in self.stages:
            x = stage(x)  # (B, C, 8, 8)
        if POOL > 1:
            x = F.avg_pool2d(x, POOL)  # (B, C, 8 / POOL, 8 / POOL)
        x = F.dropout(x.flatten(1), DROPOUT, self.training)  # (B, C * pixels)
        return self.head(getattr(F, ACTIVATION)(self.dense(x)))  # (B, 10)


def build_model():
    """The untrained model: images int64 (B, 64), ink from 0 to 16, to logits float32 (B, 10)."""
    return Reader()


# ---- training ----


def altered(images):
    """Move, turn and blot images (B, 64) of whole numbers; float32 (B, 64)."""
    x = images.float().view(-1, 1, SIDE, SIDE)
    if SHIFT or TURN:
        angle = (torch.rand(len(x)) * 2 - 1) * math.radians(TURN)  # (B,)
        move = torch.randint(-SHIFT, SHIFT + 1, (len(x), 2)) * (2 / SIDE)  # (B, 2)
        cos, sin = angle.cos(), angle.sin()
        rows = torch.stack([cos, -sin, move[:, 0], sin, cos, move[:, 1]], 1)  # (B, 6)
        grid = F.affine_grid(rows.view(-1, 2, 3), x.shape, align_corners=False)
        x = F.grid_sample(x, grid, align_corners=False)  # (B, 1, 8, 8)
    if INK:
        x = (x + INK * torch.randn_like(x)).clamp(0, INK_MOST)
    return x.flatten(1)


def make_optimizer(model):
    """All parameters in one group."""
    if OPTIMIZER == "sgd":
        decay = WEIGHT_DECAY / SGD_TIMES
        return torch.optim.SGD(model.parameters(), LR, BETA1, weight_decay=decay, nesterov=True)
    return torch.optim.AdamW(
        model.parameters(), LR, betas=(BETA1, 0.999), weight_decay=WEIGHT_DECAY, fused=True
    )


def rate_at(progress):
    """Share of the peak learning rate: a ramp up, a plateau, a ramp down."""
    up = progress / WARMUP if WARMUP else 1.0
    down = (1 - progress) / WARMDOWN if WARMDOWN else 1.0
    return max(0.01, min(1.0, up, down))  # never 0: the first and last steps should count


def train(model, run):
    """Train in place on random images of `run.tokens` until the budget is spent."""
    model.to(run.device).train()
    rows = run.tokens.view(-1, PIXELS + 1)  # (N, 65): the pixels, and the digit they show
    images, digits = rows[:, :PIXELS], rows[:, PIXELS].long()
    optimizer = make_optimizer(model)
    peak = LR * (SGD_TIMES if OPTIMIZER == "sgd" else 1)
    reported = -1
    for step, progress in enumerate(run.steps()):
        for group in optimizer.param_groups:
            group["lr"] = peak * rate_at(progress)
        chosen = torch.randint(len(rows), (BATCH,))  # (B,)
        logits = model(altered(images[chosen]).to(run.device))  # (B, 10)
        loss = F.cross_entropy(logits, digits[chosen].to(run.device), label_smoothing=SMOOTHING)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if int(progress * 10) > reported:
            reported = int(progress * 10)
            print(f"{progress:4.0%} step {step:5d} loss {loss.item():.3f}")
