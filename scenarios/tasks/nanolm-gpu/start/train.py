"""A GPT in the manner of nanochat at the size of one GPU: one file, plain PyTorch.

The harness seeds torch, calls `build_model()`, then `train(model, run)`; afterwards it takes the
state dict and scores it elsewhere, on text that this file never sees. The knobs come first, then
the model, the optimisers and the loop. Shapes at line ends: B rows, T tokens per row, C width of
the residual stream, H heads, D width of one head, V the different tokens. All below the knobs is
nanolm's, word for word, but for VOCAB and LONGEST; where it says bytes it means tokens.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

# ---- knobs: one literal each, and a comment line between any two so that edits of two merge ----

# Number of blocks, and the one dial of size: width and heads follow from it.
DEPTH = 8
# Width of the residual stream, per block.
ASPECT = 64
# Width of one attention head.
HEAD_WIDTH = 64
# Hidden width of the MLP, in multiples of the stream's width.
MLP_RATIO = 4
# Non-linearity of the MLP: relu2, gelu or silu.
ACTIVATION = "relu2"
# Tokens that a short ("S") block looks back on, itself included.
WINDOW = 16
# Reach of the blocks in turn, repeated over the depth: S = WINDOW, L = all of CONTEXT.
PATTERN = "SSSL"
# Multiplies q and k after their norm: above 1, attention may be sharper.
QK_SCALE = 1.0
# Squashes logits into +-LOGIT_CAP; 0 leaves them alone.
LOGIT_CAP = 15.0
# Scale of the blocks' input matrices at the start, relative to 1 / sqrt(width).
MATRIX_INIT = 1.0
# Standard deviation of the token embeddings at the start.
EMBED_INIT = 1.0
# Rows per optimiser step.
BATCH = 256
# Tokens per row in training; the model answers up to 256 whatever this is.
CONTEXT = 256
# What updates the blocks' matrices: adamw or muon. Everything else is always AdamW's.
OPTIMIZER = "adamw"
# Peak learning rate of the blocks' matrices.
MATRIX_LR = 0.001
# Peak learning rate of token and value embeddings.
EMBED_LR = 0.002
# Peak learning rate of the output head.
HEAD_LR = 0.002
# AdamW's memory of the gradient.
BETA1 = 0.9
# AdamW's memory of the squared gradient.
BETA2 = 0.999
# Decoupled weight decay of the blocks' matrices.
WEIGHT_DECAY = 0.1
# How that decay moves over the run: constant, linear or cosine (the latter two end at 0).
DECAY_SCHEDULE = "constant"
# Decoupled weight decay of the value embeddings.
VALUE_DECAY = 0.0
# Share of the budget over which the learning rates rise from 0.
WARMUP = 0.05
# Share of the budget, at its end, over which the learning rates fall back to 0.
WARMDOWN = 0.4
# Longest gradient allowed, over all parameters together; 0 is no limit.
GRAD_CLIP = 1.0

# ---- what follows from DEPTH ----

DIM = ASPECT * DEPTH
HEADS = max(1, DIM // HEAD_WIDTH)

# ---- the model ----

VOCAB = 8192
LONGEST = 256  # the scorer's blocks hold 256 inputs
GATE_INPUTS = 16  # a value gate reads only the stream's first channels: cheap, and enough
ROTARY_BASE = 10_000.0
NEWTON_SCHULZ = 3.4445, -4.7750, 2.0315  # Muon's quintic (Jordan et al. 2024), run five times


def norm(x):
    """Root-mean-square norm over the last axis, without learned weights."""
    return F.rms_norm(x, (x.size(-1),))


def rotate(x, cos, sin):
    """Turn each pair of channels by an angle that grows with position, so q.k sees distance."""
    a, b = x.chunk(2, dim=-1)  # (B, H, T, D/2) each
    return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1)  # (B, H, T, D)


class Attention(nn.Module):
    """Causal attention over a band of `reach` bytes, with an optional value embedding."""

    def __init__(self, width, heads, reach, has_values):
        super().__init__()
        self.heads, self.reach = heads, reach
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.values = nn.Embedding(VOCAB, width) if has_values else None
        self.gate = nn.Linear(min(GATE_INPUTS, width), heads, bias=False) if has_values else None

    def forward(self, x, tokens, cos, sin, distance):
        B, T, C = x.shape
        qkv = self.qkv(x).view(B, T, 3, self.heads, C // self.heads)  # (B, T, 3, H, D)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, T, D) each
        if self.values is not None:
            # A byte's identity reaches the values directly; each head gates how much, in (0, 2).
            gate = 2 * torch.sigmoid(self.gate(x[..., :GATE_INPUTS]))  # (B, T, H)
            extra = self.values(tokens).view(B, T, self.heads, -1)  # (B, T, H, D)
            v = v + (gate[..., None] * extra).transpose(1, 2)  # (B, H, T, D)
        # Without the norm a few large logits would freeze attention; QK_SCALE sets how sharp it is.
        q = norm(rotate(q, cos, sin)) * QK_SCALE
        k = norm(rotate(k, cos, sin)) * QK_SCALE
        if self.reach >= T:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, H, T, D)
        else:
            band = (distance >= 0) & (distance < self.reach)  # (T, T)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=band)  # (B, H, T, D)
        return self.out(y.transpose(1, 2).reshape(B, T, C))  # (B, T, C)


def activate(h):
    """Apply the MLP's non-linearity; relu2 is max(h, 0) squared, others go by torch's names."""
    return h * F.relu(h) if ACTIVATION == "relu2" else getattr(F, ACTIVATION)(h)


class Block(nn.Module):
    """Attention, then an MLP, each reading a normed stream and adding to it."""

    def __init__(self, width, heads, reach, has_values):
        super().__init__()
        self.attention = Attention(width, heads, reach, has_values)
        self.up = nn.Linear(width, MLP_RATIO * width, bias=False)
        self.down = nn.Linear(MLP_RATIO * width, width, bias=False)

    def forward(self, x, *context):
        x = x + self.attention(norm(x), *context)  # (B, T, C)
        h = self.up(norm(x))  # (B, T, MLP_RATIO * C)
        return x + self.down(activate(h))  # (B, T, C)


class GPT(nn.Module):
    """Bytes in, logits over the next byte out."""

    def __init__(self):
        super().__init__()
        head_width = max(2, DIM // (2 * HEADS) * 2)  # even, because rotation turns pairs
        width = HEADS * head_width
        self.embed = nn.Embedding(VOCAB, width)
        self.blocks = nn.ModuleList(
            Block(
                width,
                HEADS,
                # Never beyond CONTEXT, also at evaluation: no distance is met untrained.
                reach=CONTEXT if PATTERN[i % len(PATTERN)] == "L" else min(WINDOW, CONTEXT),
                has_values=(DEPTH - 1 - i) % 2 == 0,  # every other block, the last one included
            )
            for i in range(DEPTH)
        )
        self.head = nn.Linear(width, VOCAB, bias=False)
        speeds = ROTARY_BASE ** (-torch.arange(0, head_width, 2) / head_width)  # (D/2,)
        position = torch.arange(LONGEST)  # (T,)
        angle = position[:, None] * speeds  # (T, D/2)
        # Derived tables are rebuilt with the model, so they stay out of the state dict.
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        self.register_buffer("distance", position[:, None] - position, persistent=False)
        self.initialise(width)

    def initialise(self, width):
        """Start as (almost) the identity: blocks add nothing, the head is nearly uniform."""
        nn.init.normal_(self.embed.weight, std=EMBED_INIT)
        nn.init.normal_(self.head.weight, std=0.001)
        bound = MATRIX_INIT * (3 / width) ** 0.5  # uniform with standard deviation 1 / sqrt(width)
        for block in self.blocks:
            nn.init.uniform_(block.attention.qkv.weight, -bound, bound)
            nn.init.uniform_(block.up.weight, -bound, bound)
            nn.init.zeros_(block.attention.out.weight)
            nn.init.zeros_(block.down.weight)
            if block.attention.values is not None:
                nn.init.uniform_(block.attention.values.weight, -bound, bound)
                nn.init.zeros_(block.attention.gate.weight)  # sigmoid(0) * 2: a gate of 1

    def forward(self, tokens):
        T = tokens.size(1)
        tables = self.cos[:T], self.sin[:T], self.distance[:T, :T]
        x = norm(self.embed(tokens))  # (B, T, C)
        for block in self.blocks:
            x = block(x, tokens, *tables)  # (B, T, C)
        logits = self.head(norm(x)).float()  # (B, T, V)
        # The cap keeps one early, overconfident byte from swamping the loss.
        return LOGIT_CAP * torch.tanh(logits / LOGIT_CAP) if LOGIT_CAP else logits


def build_model():
    """The untrained model: tokens int64 (B, T <= 128) to logits float32 (B, T, 256)."""
    return GPT()


# ---- optimisers ----


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal: every direction of a matrix moves equally far."""

    def __init__(self, groups, momentum=0.95):
        super().__init__(groups, {"lr": 0.0, "weight_decay": 0.0})
        self.momentum = momentum
        self.averages = {}

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                shapes.setdefault(p.shape, []).append(p)
            for shape, matrices in shapes.items():  # stacked: few large multiplications, not many
                gradient = torch.stack([p.grad for p in matrices])  # (N, rows, columns)
                average = self.averages.setdefault(shape, torch.zeros_like(gradient))
                average.lerp_(gradient, 1 - self.momentum)
                update = self.orthogonal(gradient.lerp(average, self.momentum))  # Nesterov
                # Brings the root-mean-square change to AdamW's, so both share one MATRIX_LR.
                size = 0.2 * max(shape) ** 0.5
                for p, u in zip(matrices, update, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(u, alpha=-group["lr"] * size)

    def orthogonal(self, x):
        """Push all singular values of each matrix in (N, rows, columns) towards 1."""
        is_tall = x.size(-2) > x.size(-1)
        x = x.mT if is_tall else x  # the Gram matrix below is then the smaller one
        x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
        a, b, c = NEWTON_SCHULZ
        for _ in range(5):
            gram = x @ x.mT  # (N, rows, rows)
            x = a * x + (b * gram + c * gram @ gram) @ x
        return x.mT if is_tall else x


def make_optimizers(model):
    """Each parameter in one group, which keeps its peak rate and decay for the schedule."""
    attentions = [block.attention for block in model.blocks]
    values = [a.values.weight for a in attentions if a.values is not None]
    matrices = [p for p in model.blocks.parameters() if not any(p is v for v in values)]

    def group(params, lr, decay=0.0):
        return {"params": params, "lr": lr, "weight_decay": decay, "peak": lr, "decay": decay}

    matrix_group = group(matrices, MATRIX_LR, WEIGHT_DECAY)
    groups = [
        group([model.embed.weight], EMBED_LR),
        group(values, EMBED_LR, VALUE_DECAY),
        group([model.head.weight], HEAD_LR),
    ]
    if OPTIMIZER == "adamw":
        groups.append(matrix_group)
    adamw = torch.optim.AdamW(groups, betas=(BETA1, BETA2), fused=True)
    return [adamw, Muon([matrix_group])] if OPTIMIZER == "muon" else [adamw]


def rate_at(progress):
    """Share of the peak learning rate: a ramp up, a plateau, a ramp down."""
    up = progress / WARMUP if WARMUP else 1.0
    down = (1 - progress) / WARMDOWN if WARMDOWN else 1.0
    return max(0.01, min(1.0, up, down))  # never 0: the first and last steps should count


def decay_at(progress):
    """Share of the weight decay."""
    if DECAY_SCHEDULE == "constant":
        return 1.0
    return 1 - progress if DECAY_SCHEDULE == "linear" else (1 + math.cos(math.pi * progress)) / 2


# ---- the loop ----


def train(model, run):
    """Train in place on random rows of `run.tokens` until the budget is spent."""
    model.to(run.device).train()
    optimizers = make_optimizers(model)
    offsets = torch.arange(CONTEXT + 1)  # one more than the inputs: the last target
    reported = -1
    for step, progress in enumerate(run.steps()):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate_at(progress)
                group["weight_decay"] = group["decay"] * decay_at(progress)
        starts = torch.randint(len(run.tokens) - CONTEXT, (BATCH, 1))  # (B, 1)
        rows = run.tokens[starts + offsets].long().to(run.device)  # (B, T + 1)
        # Half precision pays on a GPU only; on a CPU it is no faster.
        with torch.autocast(run.device.split(":")[0], torch.bfloat16, run.device != "cpu"):
            logits = model(rows[:, :-1])  # (B, T, V)
        loss = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        if GRAD_CLIP:
            nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad()
        if int(progress * 10) > reported:
            reported = int(progress * 10)
            print(f"{progress:4.0%} step {step:5d} loss {loss.item() / math.log(2):.3f} bits/byte")
