"""GPT: the Responses API by the official SDK, streamed, with strict tools.

Translates questions and replies; tries once (`agents.minds.calling` tries again). Nothing is kept
at the provider (``store`` is off); what a second round needs of the first is sent back. Servers
that only speak like OpenAI's are `agents.minds.compatible_mind`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import openai

from agents.minds.exchange import CallFailedError, Ending, Failed, Question, Reply, ToolCall
from agents.minds.scrubbing import scrubbed, scrubbed_call
from agents.minds.wire import broken, failed_status, http_client, key_from
from agents.prices import Usage

KEY = "OPENAI_API_KEY"
_STREAMED: Mapping[str, Failed] = {
    "rate_limit_exceeded": "rate_limited",
    "server_error": "server_error",
    "server_overloaded": "overloaded",
    "invalid_prompt": "bad_request",
}
"""Codes of errors that come within a stream, after HTTP said 200."""


class GptModel:
    """One model of OpenAI's.

    Args:
        model: its id, such as ``gpt-6.1-sol``.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._key = key_from(KEY, f"openai:{model}")
        self._client = openai.AsyncOpenAI(
            api_key=self._key, max_retries=0, http_client=http_client()
        )

    async def ask(self, question: Question) -> Reply:
        """Ask once."""
        try:
            final = await self._final(question)
        except openai.APIStatusError as error:
            raise status_failure(error, self._key) from None  # its body may hold the key
        except CallFailedError:
            raise
        except Exception as error:
            # Whatever an SDK raises on bytes from elsewhere is a failed call, not ours to die of.
            raise broken(error, None, self._key) from None
        if final is None:
            raise CallFailedError("cut", "the stream ended within an answer")
        return _reply(final, self._key)

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.close()

    async def _final(self, question: Question) -> Any:
        """Return the response as its last event tells it; None where that never came."""
        stream: Any = await self._client.responses.create(**_request(self._model, question))
        async with stream:
            async for event in stream:
                kind = getattr(event, "type", "")
                if kind in ("response.completed", "response.incomplete"):
                    return event.response
                if kind == "response.failed":
                    error, usage = event.response.error, _usage(event.response.usage)
                    raise self._failure(error, usage)
                if kind == "error":
                    raise self._failure(event, None)
        return None

    def _failure(self, error: Any, usage: Usage | None) -> CallFailedError:
        kind = _STREAMED.get(str(getattr(error, "code", "")), "server_error")
        words = scrubbed(str(getattr(error, "message", "")), self._key)[:300]
        return CallFailedError(kind, words, usage=usage)


def status_failure(error: openai.APIStatusError, key: str) -> CallFailedError:
    """Return the failure that an answer with an error status is."""
    status, headers = error.response.status_code, error.response.headers
    body = error.body if isinstance(error.body, Mapping) else {}
    kind: Failed | None = None
    if status == 429 and body.get("code") == "insufficient_quota":
        kind = "no_key"  # no money there; waiting does not help
    return failed_status(status, str(body.get("message") or error.message), headers, key, kind=kind)


def _request(model: str, question: Question) -> dict[str, Any]:
    prompt, options = question.prompt, question.options
    request: dict[str, Any] = {
        "model": model,
        "instructions": prompt.system,
        "input": _input(question),
        "tools": [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
                "strict": True,
            }
            for tool in prompt.tools
        ],
        "max_output_tokens": options.answer_tokens,
        "store": False,
        "stream": True,
    }
    if options.thinking != "off" or options.effort:
        request["include"] = ["reasoning.encrypted_content"]
        if options.effort:
            request["reasoning"] = {"effort": options.effort}
    return request


def _input(question: Question) -> list[dict[str, Any]]:
    prompt, earlier = question.prompt, question.earlier
    texts = [prompt.task, prompt.code, prompt.news]
    shown = {
        "role": "user",
        "content": [{"type": "input_text", "text": text} for text in texts],
    }
    if earlier is None:
        return [shown]
    again = {"role": "user", "content": [{"type": "input_text", "text": question.again}]}
    if earlier.ending == "truncated" or not earlier.calls or not earlier.raw:
        return [shown, again]
    results = [
        {"type": "function_call_output", "call_id": call_id, "output": said}
        for call_id, said in question.results.items()
    ]
    return [shown, *earlier.raw, *results, again]


def _reply(final: Any, key: str) -> Reply:
    calls: list[ToolCall] = []
    words: list[str] = []
    is_refused = False
    raw: list[dict[str, Any]] = []
    for item in final.output or []:
        kind = getattr(item, "type", "")
        if kind == "function_call":
            text = str(item.arguments or "")
            calls.append(scrubbed_call(str(item.call_id), str(item.name), text, key))
        elif kind == "message":
            for part in item.content or []:
                is_refused |= getattr(part, "type", "") == "refusal"
                said = getattr(part, "text", None) or getattr(part, "refusal", None) or ""
                words.append(scrubbed(str(said), key))
        if kind in ("function_call", "message", "reasoning"):
            raw.append(item.to_dict(exclude_none=True))
    ending: Ending = "refused" if is_refused and not calls else "complete"
    if getattr(final, "status", "") == "incomplete":
        reason = getattr(final.incomplete_details, "reason", "")
        ending = "refused" if reason == "content_filter" else "truncated"
    usage = _usage(final.usage)
    return Reply(
        tuple(calls), "\n".join(words), ending, usage or Usage(), raw, is_counted=usage is not None
    )


def _usage(told: Any) -> Usage | None:
    """Return usage with each token counted once: at OpenAI's, input holds what was cached."""
    if told is None:
        return None
    details = getattr(told, "input_tokens_details", None)
    read = count(details, "cached_tokens")
    written = count(details, "cache_write_tokens")
    return Usage(
        input=max(0, count(told, "input_tokens") - read - written),
        output=count(told, "output_tokens"),
        cache_read=read,
        cache_write=written,
        thinking=count(getattr(told, "output_tokens_details", None), "reasoning_tokens"),
    )


def count(record: Any, name: str) -> int:
    """Return a count that a server told, or 0 where it told none."""
    value = getattr(record, name, None)
    return value if isinstance(value, int) and value >= 0 else 0
