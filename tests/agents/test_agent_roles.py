"""Roles and minds by name: files that are right, and errors that help."""

from __future__ import annotations

import pytest

from agents.errors import RoleError, UnknownMindError
from agents.minds.catalogue import NEEDS, known_minds, make_mind
from agents.notebook import NOTEBOOK_CHARACTERS, Notebook
from agents.roles import known_roles, load_role, parse_role


def test_the_roles_have_the_rights_their_names_promise():
    """Of the honest, only a synthesiser merges, and who directs or keeps books runs nothing."""
    roles = {name: load_role(name) for name in known_roles()}
    honest = {name: role.rights for name, role in roles.items() if not role.is_hostile}
    for right, holders in {
        "merge": {"synthesiser"},
        "reproduce": {"reproducer", "sceptic"},
        "review": {"reviewer", "sceptic"},
        "propose": {"explorer", "exploiter", "synthesiser"},
    }.items():
        assert {name for name, held in honest.items() if right in held} == holders
    assert set(honest) - {"explorer", "exploiter", "synthesiser", "reproducer"} == {
        "reviewer", "sceptic", "librarian", "director",
    }  # fmt: skip


@pytest.mark.parametrize("name", known_roles())
def test_every_role_is_played_by_a_mind_that_needs_no_more_than_it_grants(name: str):
    """So that any mix of roles runs without a model."""
    role = load_role(name)
    assert role.charter
    assert role.mind in known_minds()
    assert NEEDS[role.mind] <= role.rights


def test_a_role_of_ones_own_is_read_from_a_folder(tmp_path):
    """Quotas and rights come from the file."""
    (tmp_path / "hermit.toml").write_text(
        'charter = "Alone."\nrights = ["propose", "reproduce"]\n[quotas]\nexperiments = 3\n'
    )
    role = load_role("hermit", tmp_path)
    assert role.rights == {"propose", "reproduce"}
    assert (role.quotas.experiments, role.quotas.turns) == (3, None)


def test_an_unknown_role_names_the_nearest():
    """A typo is answered with the name that was meant."""
    with pytest.raises(RoleError, match="did you mean 'explorer'"):
        load_role("exploror")


def test_all_faults_of_a_role_file_are_told_at_once():
    """Unknown keys, rights and quotas come together, with the nearest word."""
    text = 'chartr = "x"\nrights = ["propse"]\n[quotas]\nturn = 3\nposts = -1\n'
    with pytest.raises(RoleError) as caught:
        parse_role("x", text)
    message = str(caught.value)
    for part in ("chartr", "'propose'", "'turns'", "charter: Field required", "quotas.posts"):
        assert part in message


def test_every_known_mind_can_be_made():
    """The catalogue holds nothing that fails to import."""
    assert {name.partition(":")[2] for name in known_minds()} == {
        "random", "greedy", "social", "merge", "judge", "verify", "careless", "climber",
        "synthesise", "sceptic", "librarian", "director", "cheater", "plagiarist", "noise_miner",
        "poisoner", "free_rider", "injector", "tpe", "cmaes",
    }  # fmt: skip
    for name in known_minds():
        assert callable(make_mind(name).decide)


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("policy:greddy", "policy:greedy"), ("social", "policy:social"), ("polcy:tpe", "policy:tpe")],
)
def test_an_unknown_mind_names_the_nearest(wrong, nearest):
    """A typo in family or variant is answered with the name that was meant."""
    with pytest.raises(UnknownMindError, match="no mind is called") as caught:
        make_mind(wrong)
    assert caught.value.nearest == nearest


def test_a_notebook_keeps_its_newest_part_and_no_control_characters():
    """It is bounded, and clean enough to be shown."""
    book = Notebook().rewritten("\x1b[31m" + "a" * 20_000 + "\nend")
    assert len(book.text) == NOTEBOOK_CHARACTERS
    assert book.text.endswith("\nend")
    assert "\x1b" not in book.text
