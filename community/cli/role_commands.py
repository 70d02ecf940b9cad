"""The command about roles: ``roles``, what may take part in a scenario and what it may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agents.roles import Role

EXAMPLES = """
Examples:

\b
  community roles                          all roles that ship
  community roles sceptic                  one of them, with its charter
  community roles hermit --scenario mine.toml
"""


def roles(
    name: Annotated[str | None, typer.Argument(help="Show this role alone, in full.")] = None,
    *,
    scenario: Annotated[
        str | None, typer.Option(help="Look also among the roles of this scenario.")
    ] = None,
) -> None:
    """List the roles that agents can have: rights, quotas, and the built-in mind that plays each.

    A role is what an agent may do, enforced where it acts. Define your own in a scenario,
    [roles.NAME] with charter, rights and quotas, or in a file: [roles.NAME] file = "mine.toml".
    """
    from agents.roles import known_roles, load_role
    from community.loading import read_scenario

    own = None if scenario is None else read_scenario(scenario).scenario.roles
    found = {each: table.as_role(each) for each, table in (own or {}).items()}
    if name is not None:
        role = found[name] if name in found else load_role(name)
        typer.echo("\n".join([*_lines(role), "", role.charter]))
        return
    every = [*(load_role(each) for each in known_roles()), *found.values()]
    for is_hostile in (False, True):
        if is_hostile:
            typer.echo("\nHostile ones, for studies of what they do to a community:\n")
        for role in every:
            if role.is_hostile == is_hostile:
                typer.echo("\n".join(_lines(role)))


def _lines(role: Role) -> list[str]:
    lines = [role.name, f"  may      {', '.join(sorted(role.rights)) or 'nothing'}"]
    if quotas := role.quotas.in_words():
        lines.append(f"  at most  {quotas}")
    if role.mind:
        lines.append(f"  mind     {role.mind}")
    return lines
