"""The warm parent: a process with torch loaded and warmed, which forks sandboxed children.

It gets one byte and some descriptors per request and forks; only the child looks at them. So it
holds no job, no secret and no held-out byte that candidate code could inherit, and its environment
is nearly empty. It never runs a parallel region (a forked OpenMP team hangs) and never touches
CUDA. Its client is `trainer.warm_parent`.

Its address space is the same before every fork. Some words in it are not: the process id and the
clock of the last request, CPython's counters and the bytecode that it adapts while it runs, and the
lists of free memory. They tell how many requests there were and when, nothing of what was asked.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import time

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

from trainer import keeper
from trainer.sandbox.cuda import has_card
from trainer.sandbox.kernel import die_with_parent
from trainer.zygote_protocol import MOST_DESCRIPTORS, REQUEST


def main(control: int, parent: int) -> None:
    """Warm up, say so on the socket `control`, then fork per request until it is closed.

    Args:
        control: descriptor of a SEQPACKET socket to the executor.
        parent: process id of the executor; this process dies with it.
    """
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        return
    begin = time.monotonic()
    torch.set_num_threads(1)
    warm_up(learns=not (torch.version.cuda is not None and has_card()))
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers need no burial
    with socket.socket(fileno=control) as connection:
        ready = {
            "threads": len(os.listdir("/proc/self/task")),
            "warm_up_s": time.monotonic() - begin,
        }
        connection.sendall(json.dumps(ready).encode())
        _serve(connection)
    os._exit(0)  # torch's exit handlers take half a second and print statistics


def _serve(connection: socket.socket) -> None:
    """Fork once per request."""
    own_pid = os.getpid()
    while True:
        request, descriptors, _, _ = socket.recv_fds(connection, 1, MOST_DESCRIPTORS)
        if request != REQUEST:
            return
        try:
            child = os.fork()
        except OSError:
            child = -1  # closing its status pipe tells the executor that the job is lost
        if child == 0:
            connection.close()
            keeper.run(descriptors, own_pid)
        for descriptor in descriptors:
            os.close(descriptor)


def warm_up(*, learns: bool = True) -> None:
    """Run the operations a small language model uses, once, on one thread.

    The first use of the optimiser and of autograd imports and initialises about a second's worth;
    children inherit that. Their chance does not come from here: they are seeded anew.

    Args:
        learns: False leaves out autograd and the optimiser's step. Where torch sees a card, the
            first `backward` asks CUDA for their number and starts a thread for each, once per
            process: no child could use CUDA after that. Making an optimiser asks CUDA nothing, and
            imports what would take each child four seconds.
    """
    torch.manual_seed(0)
    table, linear, head = nn.Embedding(32, 16), nn.Linear(16, 16, bias=False), nn.Linear(16, 32)
    parameters = [*table.parameters(), *linear.parameters(), *head.parameters()]
    made = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1)
    optimiser = made if learns else None
    mask = torch.ones(8, 8, dtype=torch.bool).tril()
    for attention in ({"is_causal": True}, {"attn_mask": mask}):
        tokens = torch.randint(0, 32, (4, 8))  # (batch, time)
        hidden = table(tokens)  # (batch, time, width)
        query = F.rms_norm(linear(hidden).view(4, 8, 2, 8).transpose(1, 2), (8,))
        mixed = F.scaled_dot_product_attention(query, query, query, **attention)
        hidden = hidden + mixed.transpose(1, 2).reshape(4, 8, 16)
        hidden = F.layer_norm(F.gelu(F.relu(F.rms_norm(hidden, (16,))).square()), (16,))
        logits = head(hidden)  # (batch, time, vocab)
        if optimiser is None:
            continue
        F.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    with torch.no_grad():
        safetensors.torch.save({"logits": head(table(tokens)).float().softmax(-1).contiguous()})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
