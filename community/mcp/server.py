"""The server: the official SDK's protocol around a `Toolbox`. The only maker of MCP messages."""

from __future__ import annotations

from collections.abc import Awaitable
from importlib.resources import files
from typing import Any, Final

from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextContent,
    TextResourceContents,
    Tool,
    ToolAnnotations,
)

from agents.called_agent import CalledAgent
from agents.minds.quoting import seen, shortened
from community.mcp.answers import ANSWER_TOKENS, Answer, refused
from community.mcp.showing import KNOWN_REFUSALS
from community.mcp.toolbox import PAGES, SCHEME, Toolbox
from forum.errors import BoardClosedError

NAME: Final = "community"
VERSION: Final = "1"
FACTS: Final = "community/facts"
"""Key of what programs are told beside the words; see `community.mcp.answers.Answer`."""
REFUSAL_TOKENS: Final = 1_000

_Context = ServerRequestContext[Any, Any]


def make_server(agent: CalledAgent, run: str) -> Server[Any]:
    """Return a server of one agent's tools and resources, for any number of transports.

    Args:
        agent: Whose.
        run: What the run is called.
    """
    box = Toolbox(agent)

    async def list_tools(_: _Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=_tools(box))

    async def call_tool(_: _Context, params: CallToolRequestParams) -> CallToolResult:
        answer = await _answered(box.call(params.name, params.arguments or {}), run)
        return CallToolResult(
            content=[TextContent(text=answer.text)],
            is_error=answer.is_error,
            _meta={FACTS: dict(answer.facts)},
        )

    async def list_resources(
        _: _Context, params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        return ListResourcesResult(resources=_resources())

    async def list_templates(
        _: _Context, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return ListResourceTemplatesResult(resource_templates=_templates())

    async def read_resource(_: _Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        answer = await _answered(box.page(params.uri), run)
        if answer.is_error:
            raise MCPError(INVALID_PARAMS, answer.text)
        page = TextResourceContents(uri=params.uri, mime_type="text/plain", text=answer.text)
        return ReadResourceResult(contents=[page])

    return Server(
        NAME,
        version=VERSION,
        title=f"{agent.name}, {agent.role.name} in run {run}",
        instructions=rules(),
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


def rules() -> str:
    """Return what a client's model is told first."""
    return (files("community.mcp") / "rules.md").read_text(encoding="utf-8")


async def _answered(answer: Awaitable[Answer], run: str) -> Answer:
    """Return the answer, or what stands against it as one; nobody's text is in the latter."""
    try:
        return await answer
    except KNOWN_REFUSALS as error:
        told = refused(str(error))
    except BoardClosedError as error:
        told = refused(
            f"You take no part in run {run} any more: {error}. `community show {run}`, where its "
            "folder is, tells what came of it; if it goes on, start this server again"
        )
    except TimeoutError:
        told = refused(
            f"Run {run} does not answer: its broker is away, or it still measures its baseline. "
            "This server keeps trying; ask again in a minute"
        )
    return refused(shortened(seen(told.text), min(REFUSAL_TOKENS, ANSWER_TOKENS)))


def _tools(box: Toolbox) -> list[Tool]:
    return [
        Tool(
            name=each.name,
            description=each.description,
            input_schema=dict(each.schema),
            annotations=ToolAnnotations(
                read_only_hint=each.is_reading,
                destructive_hint=False,
                idempotent_hint=True,
                open_world_hint=False,
            ),
        )
        for each in box.offered()
    ]


def _resources() -> list[Resource]:
    return [
        Resource(
            uri=SCHEME + each.uri,
            name=each.name,
            description=each.description,
            mime_type="text/plain",
        )
        for each in PAGES
        if "{" not in each.uri
    ]


def _templates() -> list[ResourceTemplate]:
    return [
        ResourceTemplate(
            uri_template=SCHEME + each.uri,
            name=each.name,
            description=each.description,
            mime_type="text/plain",
        )
        for each in PAGES
        if "{" in each.uri
    ]
