"""Any model behind a server that speaks Chat Completions: vLLM, Ollama, llama.cpp, LM Studio.

By OpenAI's SDK, streamed. Such servers differ in what they leave out: ids of calls, usage, a last
event. What is missing is made up for or counted as doubt, never guessed in our favour. OpenAI's own
key is not sent there.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import openai

from agents.minds.exchange import CallFailedError, Ending, Question, Reply, ToolCall
from agents.minds.openai_mind import count, status_failure
from agents.minds.scrubbing import scrubbed, scrubbed_call
from agents.minds.wire import broken, http_client
from agents.prices import Usage

KEY = "OPENAI_COMPATIBLE_API_KEY"
_NO_KEY = "none"


class CompatibleModel:
    """One model of a server that speaks Chat Completions.

    Args:
        model: its name there.
        base_url: where, such as ``http://127.0.0.1:8000/v1``.
    """

    def __init__(self, model: str, base_url: str) -> None:
        self._model = model
        self._key = os.environ.get(KEY, "").strip() or _NO_KEY
        self._client = openai.AsyncOpenAI(
            api_key=self._key, base_url=base_url, max_retries=0, http_client=http_client()
        )

    async def ask(self, question: Question) -> Reply:
        """Ask once."""
        answer = _Answer()
        try:
            stream: Any = await self._client.chat.completions.create(
                **_request(self._model, question)
            )
            async with stream:
                await answer.read(stream)
        except openai.APIStatusError as error:
            raise status_failure(error, self._secret) from None  # its body may hold the key
        except CallFailedError:
            raise
        except Exception as error:
            # Whatever an SDK raises on bytes from elsewhere is a failed call, not ours to die of.
            raise broken(error, answer.usage, self._secret) from None
        if not answer.reason:
            raise CallFailedError("cut", "the stream ended within an answer", usage=answer.usage)
        return answer.reply(self._secret)

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.close()

    @property
    def _secret(self) -> str:
        return "" if self._key == _NO_KEY else self._key


def _request(model: str, question: Question) -> dict[str, Any]:
    prompt = question.prompt
    request: dict[str, Any] = {
        "model": model,
        "messages": _messages(question),
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.parameters),
                    "strict": True,
                },
            }
            for tool in prompt.tools
        ],
        "max_tokens": question.options.answer_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if question.options.effort:
        request["reasoning_effort"] = question.options.effort
    return request


def _messages(question: Question) -> list[dict[str, Any]]:
    prompt, earlier = question.prompt, question.earlier
    shown: list[dict[str, Any]] = [
        {"role": "system", "content": prompt.system},
        {"role": "user", "content": "\n".join([prompt.task, prompt.code, prompt.news])},
    ]
    if earlier is None:
        return shown
    again = {"role": "user", "content": question.again}
    if earlier.ending == "truncated" or not earlier.calls:
        return [*shown, again]
    said = {
        "role": "assistant",
        "content": earlier.text or None,
        "tool_calls": [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in earlier.calls
        ],
    }
    results = [
        {"role": "tool", "tool_call_id": call_id, "content": words}
        for call_id, words in question.results.items()
    ]
    return [*shown, said, *results, again]


class _Answer:
    """What has been read of a streamed answer so far."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.reason = ""
        self._words: list[str] = []
        self._is_refused = False
        self._calls: dict[int, tuple[list[str], list[str], list[str]]] = {}
        """By index: pieces of id, name and arguments."""

    async def read(self, chunks: AsyncIterator[Any]) -> None:
        """Take in chunks until the stream ends."""
        async for chunk in chunks:
            if getattr(chunk, "usage", None) is not None:
                self.usage = _usage(chunk.usage)
            for choice in getattr(chunk, "choices", None) or []:
                self._take_in(choice)

    def _take_in(self, choice: Any) -> None:
        self.reason = str(getattr(choice, "finish_reason", None) or self.reason)
        delta: Any = getattr(choice, "delta", None)
        if getattr(delta, "content", None):
            self._words.append(str(delta.content))
        if getattr(delta, "refusal", None):
            self._is_refused = True
            self._words.append(str(delta.refusal))
        for position, piece in enumerate(getattr(delta, "tool_calls", None) or []):
            told = getattr(piece, "index", None)
            index = told if isinstance(told, int) else position
            ids, names, texts = self._calls.setdefault(index, ([], [], []))
            ids.append(str(getattr(piece, "id", None) or ""))
            function = getattr(piece, "function", None)
            names.append(str(getattr(function, "name", None) or ""))
            texts.append(str(getattr(function, "arguments", None) or ""))

    def reply(self, key: str) -> Reply:
        """Return the whole answer."""
        calls: list[ToolCall] = []
        taken: set[str] = set()
        for index, (ids, names, texts) in sorted(self._calls.items()):
            name = next((each for each in ids if each), "")
            if not name or name in taken:
                name = f"call_{index}"
            taken.add(name)
            calls.append(scrubbed_call(name, "".join(names), "".join(texts), key))
        ending: Ending = "truncated" if self.reason == "length" else "complete"
        if self.reason == "content_filter" or (self._is_refused and not calls):
            ending = "refused"
        usage = self.usage
        return Reply(
            tuple(calls),
            scrubbed("".join(self._words), key),
            ending,
            usage or Usage(),
            is_counted=usage is not None,
        )


def _usage(told: Any) -> Usage:
    """Return usage with each token counted once: prompt tokens hold what was cached."""
    details = getattr(told, "prompt_tokens_details", None)
    read, written = count(details, "cached_tokens"), count(details, "cache_write_tokens")
    return Usage(
        input=max(0, count(told, "prompt_tokens") - read - written),
        output=count(told, "completion_tokens"),
        cache_read=read,
        cache_write=written,
        thinking=count(getattr(told, "completion_tokens_details", None), "reasoning_tokens"),
    )
