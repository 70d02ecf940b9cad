"""Servers on loopback that speak what the three model APIs speak, errors included.

Answers have the shape of recorded ones; what they say is scripted. A server counts tokens itself,
so that what we think we spent can be held against its own bill.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from agents.prices import Usage

Flavour = Literal["anthropic", "openai", "openai-compatible", "cli:claude", "cli:codex"]
FLAVOURS: tuple[Flavour, ...] = ("anthropic", "openai", "openai-compatible")
PROGRAMS: tuple[Flavour, ...] = ("cli:claude", "cli:codex")
"""Coding agents; what they are told to do comes from a server as well (`scripted_cli`)."""
USED = Usage(input=900, output=120, cache_read=3_000, cache_write=500, thinking=0)


@dataclass(frozen=True)
class Say:
    """An answer as it should be."""

    calls: tuple[tuple[str, Any], ...] = ()
    """(tool, arguments); arguments that are a string are sent as they are."""
    text: str = ""
    ending: Literal["complete", "truncated", "refused"] = "complete"
    usage: Usage = USED
    thinking: str = ""
    does: tuple[tuple[str, Any], ...] = ()
    """What else a program is told: edits, python, exit, usd."""


@dataclass(frozen=True)
class Status:
    """An HTTP error."""

    status: int
    message: str = "no"
    headers: tuple[tuple[str, str], ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Cut:
    """An answer of which a share of the bytes comes, and then the connection ends."""

    say: Say
    share: float = 0.5


@dataclass(frozen=True)
class Slow:
    """An answer whose events come with pauses between."""

    say: Say
    pause_s: float


@dataclass(frozen=True)
class Garbage:
    """A stream of something else."""

    data: bytes


@dataclass(frozen=True)
class StreamError:
    """An error that is told within a stream, after HTTP said 200."""

    code: str
    message: str = "no"


Behaviour = Say | Status | Cut | Slow | Garbage | StreamError
Script = Callable[[dict[str, Any], int], Behaviour]
"""(request's body, its number from 0) -> what the server does."""


@dataclass
class Served:
    """A running server."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    billed: list[Usage] = field(default_factory=list)
    """Of answers that were sent to their end, in order."""
    most_at_once: int = 0


@asynccontextmanager
async def serving(flavour: Flavour, script: Script) -> AsyncIterator[Served]:
    """Serve one API on loopback for the block."""
    served = Served("")
    now = 0
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while True:
                asked = await _read_request(reader)
                if asked is None:
                    return
                now += 1
                served.most_at_once = max(served.most_at_once, now)
                try:
                    number = len(served.requests)
                    served.headers.append(asked[0])
                    served.requests.append(asked[1])
                    if not await _behave(flavour, script(asked[1], number), writer, served):
                        return
                finally:
                    now -= 1
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # asyncio's own server would log a task that was cancelled
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    served.url = f"http://127.0.0.1:{port}"
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _read_request(
    reader: asyncio.StreamReader,
) -> tuple[dict[str, str], dict[str, Any]] | None:
    line = await reader.readline()
    if not line:
        return None
    headers = {":path": line.decode().split(" ")[1]}
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return headers, json.loads(body)


async def _behave(
    flavour: Flavour, behaviour: Behaviour, writer: asyncio.StreamWriter, served: Served
) -> bool:
    """Answer one request; returns whether the connection goes on."""
    if isinstance(behaviour, Status):
        return await _turn_down(flavour, behaviour, writer)
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    if isinstance(behaviour, Garbage):
        chunks = [behaviour.data[at : at + 65_536] for at in range(0, len(behaviour.data), 65_536)]
    elif isinstance(behaviour, StreamError):
        chunks = [_stream_error(flavour, behaviour)]
    else:
        say = behaviour if isinstance(behaviour, Say) else behaviour.say
        chunks = _ENCODERS[flavour](say)
    if isinstance(behaviour, Cut):
        chunks = chunks[: max(1, round(len(chunks) * behaviour.share))]
    for chunk in chunks:
        writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        await writer.drain()
        if isinstance(behaviour, Slow):
            await asyncio.sleep(behaviour.pause_s)
    if isinstance(behaviour, Cut):
        return False
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    if isinstance(behaviour, (Say, Slow)):
        served.billed.append(say.usage)
    return True


async def _turn_down(flavour: Flavour, told: Status, writer: asyncio.StreamWriter) -> bool:
    if flavour == "anthropic":
        kind = {429: "rate_limit_error", 529: "overloaded_error", 401: "authentication_error"}
        error = {"type": kind.get(told.status, "api_error"), "message": told.message}
        data: dict[str, Any] = {"type": "error", "error": error, "request_id": "req_1"}
    else:
        error = {"message": told.message, "type": "some_error", "param": None}
        data = {"error": {**error, "code": told.code or None}}
    body = json.dumps(data).encode()
    head = f"HTTP/1.1 {told.status} Status\r\ncontent-type: application/json\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in told.headers)
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    return True


def _stream_error(flavour: Flavour, told: StreamError) -> bytes:
    if flavour == "anthropic":
        error = {"type": told.code, "message": told.message}
        return _event("error", {"type": "error", "error": error})
    if flavour == "openai":
        data = {"type": "error", "code": told.code, "message": told.message, "param": None}
        return _event("error", {**data, "sequence_number": 1})
    error = {"message": told.message, "type": "x", "code": told.code}
    return f"data: {json.dumps({'error': error})}\n\n".encode()


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _spelt(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def _pieces(text: str, count: int = 3) -> list[str]:
    size = max(1, -(-len(text) // count))
    return [text[at : at + size] for at in range(0, len(text), size)]


def _anthropic(say: Say) -> list[bytes]:
    used = {
        "input_tokens": say.usage.input,
        "cache_read_input_tokens": say.usage.cache_read,
        "cache_creation_input_tokens": say.usage.cache_write,
        "output_tokens": 1,
    }
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": used,
    }  # fmt: skip
    events = [_event("message_start", {"type": "message_start", "message": message})]
    events.append(_event("ping", {"type": "ping"}))
    index = 0

    def block(start: dict[str, Any], deltas: list[dict[str, Any]]) -> None:
        nonlocal index
        name = "content_block_start"
        events.append(_event(name, {"type": name, "index": index, "content_block": start}))
        for delta in deltas:
            name = "content_block_delta"
            events.append(_event(name, {"type": name, "index": index, "delta": delta}))
        name = "content_block_stop"
        events.append(_event(name, {"type": name, "index": index}))
        index += 1

    if say.thinking:
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(say.thinking)]
        deltas.append({"type": "signature_delta", "signature": "c2lnbmVk"})
        block({"type": "thinking", "thinking": "", "signature": ""}, deltas)
    if say.text:
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(say.text)]
        block({"type": "text", "text": ""}, deltas)
    for number, (name, arguments) in enumerate(say.calls):
        start = {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {}}
        pieces = ["", *_pieces(_spelt(arguments))]
        block(start, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces])
    reason = {"truncated": "max_tokens", "refused": "refusal"}.get(
        say.ending, "tool_use" if say.calls else "end_turn"
    )
    delta = {"stop_reason": reason, "stop_sequence": None}
    usage = {"output_tokens": say.usage.output}
    events.append(
        _event("message_delta", {"type": "message_delta", "delta": delta, "usage": usage})
    )
    return [*events, _event("message_stop", {"type": "message_stop"})]


def _responses(say: Say) -> list[bytes]:
    items: list[dict[str, Any]] = []
    if say.thinking:
        item = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "c2Vj"}
        items.append(item)
    if say.text:
        is_refused = say.ending == "refused"
        part: dict[str, Any] = {"type": "output_text", "text": say.text, "annotations": []}
        if is_refused:
            part = {"type": "refusal", "refusal": say.text}
        items.append(
            {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
             "content": [part]}
        )  # fmt: skip
    for number, (name, arguments) in enumerate(say.calls):
        items.append(
            {"id": f"fc_{number}", "type": "function_call", "call_id": f"call_{number}",
             "name": name, "arguments": _spelt(arguments), "status": "completed"}
        )  # fmt: skip
    details = {"cached_tokens": say.usage.cache_read, "cache_write_tokens": say.usage.cache_write}
    read = say.usage.input + say.usage.cache_read + say.usage.cache_write
    usage = {
        "input_tokens": read,
        "input_tokens_details": details,
        "output_tokens": say.usage.output,
        "output_tokens_details": {"reasoning_tokens": say.usage.thinking},
        "total_tokens": read + say.usage.output,
    }
    final = {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
        "model": "m", "output": items, "error": None, "incomplete_details": None,
        "instructions": None, "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0,
        "tool_choice": "auto", "tools": [], "top_p": 1.0, "usage": usage,
    }  # fmt: skip
    if say.ending == "truncated" or (say.ending == "refused" and not say.text):
        reason = "max_output_tokens" if say.ending == "truncated" else "content_filter"
        final |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
    begun = {**final, "status": "in_progress", "output": [], "usage": None}
    told: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for index, item in enumerate(items):
        shown = {"output_index": index, "item": item}
        told.append({"type": "response.output_item.added", **shown})
        if item["type"] == "function_call":
            for piece in _pieces(item["arguments"]):
                name = "response.function_call_arguments.delta"
                told.append(
                    {"type": name, "item_id": item["id"], "output_index": index, "delta": piece}
                )
        told.append({"type": "response.output_item.done", **shown})
    told.append({"type": f"response.{final['status']}", "response": final})
    return [
        _event(event["type"], {**event, "sequence_number": number})
        for number, event in enumerate(told)
    ]


def _chat(say: Say) -> list[bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None}]
    key = "refusal" if say.ending == "refused" else "content"
    deltas += [{key: piece} for piece in _pieces(say.text)]
    for number, (name, arguments) in enumerate(say.calls):
        first = {"id": f"call_{number}", "type": "function", "index": number}
        deltas.append({"tool_calls": [{**first, "function": {"name": name, "arguments": ""}}]})
        for piece in _pieces(_spelt(arguments)):
            more = {"index": number, "function": {"arguments": piece}}
            deltas.append({"tool_calls": [more]})
    reason = {"truncated": "length", "refused": "content_filter"}.get(
        say.ending, "tool_calls" if say.calls else "stop"
    )
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    told = [
        {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    told.append({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    read = say.usage.input + say.usage.cache_read + say.usage.cache_write
    details = {"cached_tokens": say.usage.cache_read, "cache_write_tokens": say.usage.cache_write}
    usage = {
        "prompt_tokens": read,
        "completion_tokens": say.usage.output,
        "total_tokens": read + say.usage.output,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": say.usage.thinking},
    }
    told.append({**chunk, "choices": [], "usage": usage})
    return [*(f"data: {json.dumps(each)}\n\n".encode() for each in told), b"data: [DONE]\n\n"]


def _errand(say: Say) -> list[bytes]:
    todo = {"calls": say.calls, "text": say.text, "ending": say.ending, "usage": asdict(say.usage)}
    return [json.dumps({**todo, **dict(say.does)}).encode()]


_ENCODERS: dict[Flavour, Callable[[Say], list[bytes]]] = {
    "anthropic": _anthropic,
    "openai": _responses,
    "openai-compatible": _chat,
    "cli:claude": _errand,
    "cli:codex": _errand,
}
