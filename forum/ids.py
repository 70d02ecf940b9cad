"""Identifiers of the forum, as distinct types.

Not a source of identifiers: authors make message ids, the clerk makes post ids.
"""

from __future__ import annotations

from typing import NewType

AgentName = NewType("AgentName", str)
"""A participant's name: 1-32 characters of ``a-z 0-9 - _``, unique in a run, also its MQTT user."""

PostId = NewType("PostId", str)
"""The clerk's name for a recorded post: ``p`` and the post's running number, as in ``p17``."""

MessageId = NewType("MessageId", str)
"""The author's name for a draft, unique per author; a repeat is acknowledged, not recorded."""
