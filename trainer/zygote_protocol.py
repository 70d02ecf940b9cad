"""What crosses the socket between an executor and its warm parent: one byte, and descriptors.

Apart from `trainer.zygote`, so that the executor does not import torch.
"""

from __future__ import annotations

from typing import Final

REQUEST: Final = b"f"
"""Fork a child for the descriptors that come with this byte."""
MOST_DESCRIPTORS: Final = 32
"""More per request than any phase uses."""
