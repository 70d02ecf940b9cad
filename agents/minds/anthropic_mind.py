"""Claude: the Messages API by the official SDK, streamed, with tools and cached prefixes.

Translates questions and replies; tries once (`agents.minds.calling` tries again). Events that are
not known are passed over, so that a newer API does not break it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anthropic

from agents.minds.exchange import CallFailedError, Ending, Failed, Question, Reply, ToolCall
from agents.minds.prompting import Tool
from agents.minds.scrubbing import scrubbed, scrubbed_call
from agents.minds.wire import broken, failed_status, http_client, key_from
from agents.prices import Usage

KEY = "ANTHROPIC_API_KEY"
_CACHED = {"cache_control": {"type": "ephemeral"}}
_STREAMED: Mapping[str, Failed] = {
    "overloaded_error": "overloaded",
    "rate_limit_error": "rate_limited",
    "api_error": "server_error",
    "timeout_error": "server_error",
    "authentication_error": "no_key",
    "invalid_request_error": "bad_request",
}
"""Types of errors that come within a stream, after HTTP said 200."""


class ClaudeModel:
    """One model of Anthropic's.

    Args:
        model: its id, such as ``claude-sonnet-5-5``.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._key = key_from(KEY, f"anthropic:{model}")
        self._client = anthropic.AsyncAnthropic(
            api_key=self._key, max_retries=0, http_client=http_client()
        )

    async def ask(self, question: Question) -> Reply:
        """Ask once."""
        answer = _Answer()
        try:
            stream = await self._client.messages.create(**_request(self._model, question))
            async with stream:
                await answer.read(stream)
        except anthropic.APIStatusError as error:
            raise self._turned_down(error, answer) from None  # its body may hold the key
        except CallFailedError:
            raise
        except Exception as error:
            # Whatever an SDK raises on bytes from elsewhere is a failed call, not ours to die of.
            raise broken(error, answer.usage, self._key) from None
        if not answer.is_ended:
            raise CallFailedError("cut", "the stream ended within an answer", usage=answer.usage)
        return answer.reply(self._key)

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.close()

    def _turned_down(self, error: anthropic.APIStatusError, answer: _Answer) -> CallFailedError:
        status, headers = error.response.status_code, error.response.headers
        body = error.body if isinstance(error.body, Mapping) else {}
        inner = body.get("error") if isinstance(body.get("error"), Mapping) else {}
        assert isinstance(inner, Mapping)
        message = str(inner.get("message") or error.message)
        if status >= 400:
            return failed_status(status, message, headers, self._key)
        kind = _STREAMED.get(str(inner.get("type")), "server_error")
        return CallFailedError(kind, scrubbed(message, self._key)[:300], usage=answer.usage)


def _request(model: str, question: Question) -> dict[str, Any]:
    prompt, options = question.prompt, question.options
    request: dict[str, Any] = {
        "model": model,
        "max_tokens": options.answer_tokens,
        "system": [{"type": "text", "text": prompt.system, **_CACHED}],
        "tools": [_tool(tool) for tool in prompt.tools],
        "messages": _messages(question),
        "stream": True,
    }
    if options.thinking == "adaptive":
        request["thinking"] = {"type": "adaptive"}
    elif options.thinking != "off":
        request["thinking"] = {"type": "enabled", "budget_tokens": options.thinking}
    if options.effort:
        request["output_config"] = {"effort": options.effort}
    return request


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": dict(tool.parameters),
        "strict": True,
    }


def _messages(question: Question) -> list[dict[str, Any]]:
    prompt, earlier = question.prompt, question.earlier
    shown: list[dict[str, Any]] = [
        {"type": "text", "text": prompt.task, **_CACHED},
        {"type": "text", "text": prompt.code, **_CACHED},
        {"type": "text", "text": prompt.news},
    ]
    again = {"type": "text", "text": question.again}
    if earlier is None:
        return [{"role": "user", "content": shown}]
    if earlier.ending == "truncated" or not earlier.calls or not earlier.raw:
        return [{"role": "user", "content": [*shown, again]}]
    results = [
        {
            "type": "tool_result",
            "tool_use_id": call_id,
            "content": said,
            "is_error": said != "accepted",
        }
        for call_id, said in question.results.items()
    ]
    return [
        {"role": "user", "content": shown},
        {"role": "assistant", "content": earlier.raw},
        {"role": "user", "content": [*results, again]},
    ]


class _Answer:
    """What has been read of a streamed answer so far."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.is_ended = False
        self._reason = ""
        self._details = ""
        self._blocks: dict[int, dict[str, Any]] = {}
        self._written: dict[int, list[str]] = {}

    async def read(self, events: AsyncIterator[Any]) -> None:
        """Take in events until the stream ends."""
        async for event in events:
            kind = getattr(event, "type", "")
            if kind == "message_start":
                self._count(event.message.usage)
            elif kind == "content_block_start":
                self._blocks[event.index] = event.content_block.to_dict()
                self._written[event.index] = []
            elif kind == "content_block_delta":
                self._grow(event.index, event.delta)
            elif kind == "message_delta":
                self._reason = str(event.delta.stop_reason or "")
                details = getattr(event.delta, "stop_details", None)
                self._details = str(getattr(details, "explanation", None) or "")
                self._count(event.usage)
            elif kind == "message_stop":
                self.is_ended = True

    def _grow(self, index: int, delta: Any) -> None:
        block, kind = self._blocks[index], getattr(delta, "type", "")
        if kind == "text_delta":
            self._written[index].append(delta.text)
        elif kind == "input_json_delta":
            self._written[index].append(delta.partial_json)
        elif kind == "thinking_delta":
            self._written[index].append(delta.thinking)
        elif kind == "signature_delta":
            block["signature"] = block.get("signature", "") + delta.signature

    def _count(self, told: Any) -> None:
        """Take in usage; counts are cumulative, and what is not told again still holds."""
        before = self.usage or Usage()
        details = getattr(told, "output_tokens_details", None)
        self.usage = Usage(
            input=_number(told, "input_tokens", before.input),
            output=_number(told, "output_tokens", before.output),
            cache_read=_number(told, "cache_read_input_tokens", before.cache_read),
            cache_write=_number(told, "cache_creation_input_tokens", before.cache_write),
            thinking=_number(details, "thinking_tokens", before.thinking),
        )

    def reply(self, key: str) -> Reply:
        """Return the whole answer."""
        calls: list[ToolCall] = []
        words: list[str] = []
        raw: list[dict[str, Any]] = []
        for index in sorted(self._blocks):
            block, written = dict(self._blocks[index]), "".join(self._written[index])
            kind = block.get("type")
            if kind == "text":
                block["text"] = block.get("text", "") + written
                words.append(scrubbed(block["text"], key))
            elif kind == "thinking":
                block["thinking"] = block.get("thinking", "") + written
            elif kind == "tool_use":
                text = written or json.dumps(block.get("input") or {})
                calls.append(scrubbed_call(str(block["id"]), str(block["name"]), text, key))
                block["input"] = _object(text)
            if kind != "text" or block["text"]:
                raw.append(block)
        text = "\n".join(words) or scrubbed(self._details, key)
        usage = self.usage or Usage()
        return Reply(tuple(calls), text, _ending(self._reason), usage, raw)


def _ending(reason: str) -> Ending:
    if reason in ("max_tokens", "model_context_window_exceeded"):
        return "truncated"
    return "refused" if reason == "refusal" else "complete"


def _number(record: Any, name: str, otherwise: int) -> int:
    value = getattr(record, name, None)
    return value if isinstance(value, int) and value >= 0 else otherwise


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()  # it is to be sent back
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
