"""The study file: what is varied, how often, at which budget. Records, and how they are read.

A study is one TOML file beside the scenarios. Everything wrong with it is told at once, each fault
with file, line, key and the nearest thing that would be right. What its factors do to the scenario
is `community.study.levels`; next `community.study.design` makes arms of it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from community.errors import Fault, ScenarioError, StudyFileError
from community.loading import SCENARIOS, find_scenario
from community.scenario_faults import in_words, nearest
from community.study.controls import DEFAULT, MEANINGS
from community.study.fractions import Generator, parse_generator
from community.study.levels import WORDS, is_path
from community.toml_lines import KeyPath, key_lines, line_of
from community.topology.faults import Found

STUDIES = SCENARIOS / "studies"
BudgetKind = Literal["experiments", "device_seconds", "usd", "wall_s"]
Value = Literal["confirmed", "found"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class StudySection(_Section):
    """How often, and what is compared."""

    title: str = ""
    """The question, in words, for the report."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    """Landscapes, starts and noise derive from it and the replicate, and from nothing else."""
    replicates: Annotated[int, Field(ge=1, le=100_000)] = 20
    """Landscapes; every arm works on each of them."""
    compare: str = ""
    """The factor whose levels are held against one another; by default the first."""
    reference: str = ""
    """Its level that the others are held against; by default the first."""
    contrasts: Literal["reference", "all"] = "reference"
    """all: every pair of levels."""
    outcome: Value = "confirmed"
    """confirmed: the true score of what leads; found: of the best that was run at all."""
    margin: Annotated[float, Field(gt=0)] | None = None
    """A difference that is too small to matter, in the unit of the outcome."""
    engine: Annotated[str, Field(pattern=r"^(community|classic:[a-z_]+)$")] = "community"
    """classic:NAME runs a classic model, whose parameters are the factors."""


class EqualBudget(_Section):
    """What every arm may spend: exactly one of these."""

    experiments: Annotated[int, Field(ge=1)] | None = None
    device_seconds: Annotated[float, Field(gt=0)] | None = None
    usd: Annotated[float, Field(gt=0)] | None = None
    wall_s: Annotated[float, Field(gt=0)] | None = None

    @property
    def given(self) -> list[tuple[str, float]]:
        """What is set: kind and amount."""
        return [(kind, amount) for kind, amount in self.model_dump().items() if amount is not None]


class Adjustment(_Section):
    """Cells in which more is changed: a small world of four needs another k."""

    when: dict[str, Any]
    """Factor -> label, or a list of labels."""
    set: dict[str, Any]


class StudyFile(_Section):
    """A whole study file."""

    study: StudySection = StudySection()
    budget: EqualBudget | None = None
    scenario: str | dict[str, Any] = Field(default="", union_mode="left_to_right")
    """The base: a scenario by name or path, or written out."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Keys of the base that are other in this study."""
    controls: Annotated[tuple[str, ...], Field(strict=False)] = DEFAULT
    factors: dict[str, list[Any]] = Field(default_factory=dict)
    generators: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Of a regular two-level fraction; without any all cells are run."""
    only: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()
    """Cells that match one of these; empty: all."""
    exclude: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()
    adjust: Annotated[tuple[Adjustment, ...], Field(strict=False)] = ()


@dataclass(frozen=True, slots=True)
class Level:
    """One value of a factor."""

    label: str
    value: Any


@dataclass(frozen=True, slots=True)
class Study:
    """A study file that was read, and is well formed by itself."""

    name: str
    path: Path
    text: str
    file: StudyFile
    base: Mapping[str, Any]
    """The scenario's data, as tomllib gives it; empty for a classic model."""
    base_path: Path
    """Where it stands: relative paths start there."""
    factors: Mapping[str, tuple[Level, ...]]
    generators: tuple[Generator, ...]
    budget: tuple[str, float] | None
    """Kind and amount; None for a classic model."""

    @property
    def compare(self) -> str:
        """The factor whose levels are compared."""
        return self.file.study.compare or next(iter(self.factors), "")

    @property
    def reference(self) -> str:
        """The label of the level that others are held against."""
        return self.file.study.reference or self.factors[self.compare][0].label

    def fail(self, found: Found) -> StudyFileError:
        """Return `found` as an error, each fault at its line."""
        return _error(self.path, self.text, found)


def shipped_studies() -> tuple[str, ...]:
    """Return the names of the studies that come with the project."""
    found = (path.relative_to(STUDIES).with_suffix("") for path in STUDIES.rglob("*.toml"))
    return tuple(sorted(path.as_posix() for path in found))


def read_study(path_or_name: str | Path) -> Study:
    """Read a study file, by path or by the name of a shipped one.

    Raises:
        StudyFileError: it cannot be used; `faults` lists what is wrong with it.
    """
    path = _find(path_or_name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyFileError([Fault(str(path), "", f"cannot be read: {error}")]) from error
    return parse_study(text, path)


def parse_study(text: str, path: Path) -> Study:
    """Read a study's text; `path` is what messages name and where relative paths start.

    Raises:
        StudyFileError: it cannot be used; `faults` lists what is wrong with it.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyFileError([Fault(str(path), "", f"not valid TOML: {error}")]) from error
    try:
        file = StudyFile.model_validate(data)
    except ValidationError as error:
        found = [(tuple(item["loc"]), in_words(item, _keys_at)) for item in error.errors()]
        raise _error(path, text, found) from error
    found = [*_budget_faults(file), *_control_faults(file)]
    factors, wrong = _factors(file)
    generators, misfit = _generators(file, factors)
    found += [*wrong, *misfit, *_match_faults(file, factors), *_compare_faults(file, factors)]
    base, base_path, lacking = _base(file, path)
    if found := [*found, *lacking]:
        raise _error(path, text, found)
    given = file.budget.given if file.budget else []
    budget = given[0] if given else None
    return Study(path.stem, path, text, file, base, base_path, factors, tuple(generators), budget)


def matches(cell: Mapping[str, str], when: Mapping[str, Any]) -> bool:
    """Whether a cell (factor -> label) is one that a table in the file speaks of."""
    return all(cell.get(factor) in _labels(wanted) for factor, wanted in when.items())


def _labels(wanted: Any) -> list[str]:
    return [_word(one) for one in (wanted if isinstance(wanted, list) else [wanted])]


def _find(path_or_name: str | Path) -> Path:
    path = Path(path_or_name)
    if path.is_file():
        return path
    shipped = STUDIES / f"{path_or_name}.toml"
    if not path.is_absolute() and shipped.is_file():
        return shipped
    names = shipped_studies()
    hint = nearest(str(path_or_name).removesuffix(".toml"), names)
    known = f"shipped studies: {', '.join(names)}; or give the path of a .toml file"
    raise StudyFileError([Fault(str(path_or_name), "", f"no such study file{hint}; {known}")])


def _error(path: Path, text: str, found: Found) -> StudyFileError:
    lines = key_lines(text)
    rows = sorted({(line_of(key, lines), _dotted(key), what) for key, what in found})
    return StudyFileError([Fault(f"{path}:{line}", key, what) for line, key, what in rows])


def _dotted(key: KeyPath) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in key]
    return "".join(parts).removeprefix(".")


_TABLES: dict[str, type[BaseModel]] = {
    "study": StudySection,
    "budget": EqualBudget,
    "adjust": Adjustment,
}


def _keys_at(loc: Sequence[str | int]) -> list[str]:
    model = _TABLES.get(str(loc[0])) if loc else StudyFile
    return list(model.model_fields) if model else []


def _is_classic(file: StudyFile) -> bool:
    return file.study.engine != "community"


def _budget_faults(file: StudyFile) -> Found:
    given = file.budget.given if file.budget else []
    if len(given) == 1 or (_is_classic(file) and not given):
        return []
    what = "missing" if not given else f"{' and '.join(kind for kind, _ in given)} are two budgets"
    kinds = ", ".join(EqualBudget.model_fields)
    return [(("budget",), f"{what}; give exactly one of {kinds}: budget = {{ experiments = 400 }}")]


def _control_faults(file: StudyFile) -> Found:
    found: Found = []
    for index, name in enumerate(file.controls):
        if name not in MEANINGS:
            text = (
                f"unknown control {name!r}{nearest(name, MEANINGS)}; known: {', '.join(MEANINGS)}"
            )
            found.append((("controls", index), text))
    return found


def _factors(file: StudyFile) -> tuple[dict[str, tuple[Level, ...]], Found]:
    found: Found = []
    factors: dict[str, tuple[Level, ...]] = {}
    if not file.factors:
        text = 'nothing is varied; write [factors] and topology = ["ring", "complete"]'
        found.append((("factors",), text))
    for name, values in file.factors.items():
        key = ("factors", name)
        bundles = [isinstance(value, dict) and "set" in value for value in values]
        if not values:
            found.append((key, "has no levels; give at least one"))
        elif not (_is_classic(file) or name in WORDS or is_path(name) or all(bundles)):
            text = (
                f"is no factor{nearest(name, WORDS)}; write one of {', '.join(WORDS)}, the path of "
                'a key ("model.k"), or tables { label = "hard", set = { "model.k" = 10 } }'
            )
            found.append((key, text))
        levels = _levels(values)
        labels = [level.label for level in levels]
        if twice := [label for label in labels if labels.count(label) > 1]:
            text = f"two levels are called {twice[0]!r}; give one of them a label of its own"
            found.append((key, text))
        factors[name] = levels
    return factors, found


def _levels(values: Sequence[Any]) -> tuple[Level, ...]:
    short = [_label(value, is_long=False) for value in values]
    found = []
    for value, label in zip(values, short, strict=True):
        named = _label(value, is_long=True) if short.count(label) > 1 else label
        bare = value
        if isinstance(value, dict):
            bare = {key: item for key, item in value.items() if key != "label"}
        found.append(Level(named, bare))
    return tuple(found)


def _label(value: Any, *, is_long: bool) -> str:
    if not isinstance(value, dict):
        return _word(value)
    if "label" in value:
        return str(value["label"])
    head = str(value.get("family", ""))
    if head and not is_long:
        return head
    rest = [f"{key} {_word(item)}" for key, item in value.items() if key != "family"]
    return " ".join([head, ", ".join(rest)]).strip()


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _generators(
    file: StudyFile, factors: Mapping[str, Sequence[Level]]
) -> tuple[list[Generator], Found]:
    sizes = {name: len(levels) for name, levels in factors.items()}
    generators: list[Generator] = []
    found: Found = []
    for index, text in enumerate(file.generators):
        try:
            generators.append(parse_generator(text, sizes))
        except ValueError as error:
            found.append((("generators", index), str(error)))
    return generators, found


def _match_faults(file: StudyFile, factors: Mapping[str, Sequence[Level]]) -> Found:
    tables = [(("only", i), when) for i, when in enumerate(file.only)]
    tables += [(("exclude", i), when) for i, when in enumerate(file.exclude)]
    tables += [(("adjust", i), one.when) for i, one in enumerate(file.adjust)]
    found: Found = []
    for key, when in tables:
        for factor, wanted in when.items():
            if factor not in factors:
                text = f"{factor!r} is no factor{nearest(factor, factors)}"
                found.append(((*key, factor), f"{text}; factors: {', '.join(factors)}"))
                continue
            labels = [level.label for level in factors[factor]]
            for label in _labels(wanted):
                if label not in labels:
                    text = f"{label!r} is no level{nearest(label, labels)}"
                    found.append(((*key, factor), f"{text}; levels: {', '.join(labels)}"))
    return found


def _compare_faults(file: StudyFile, factors: Mapping[str, Sequence[Level]]) -> Found:
    compare, reference = file.study.compare, file.study.reference
    if compare and compare not in factors:
        text = f"{compare!r} is no factor{nearest(compare, factors)}; factors: {', '.join(factors)}"
        return [(("study", "compare"), text)]
    levels = factors.get(compare or next(iter(factors), ""), ())
    labels = [level.label for level in levels]
    if reference and reference not in labels:
        text = f"{reference!r} is no level{nearest(reference, labels)}; levels: {', '.join(labels)}"
        return [(("study", "reference"), text)]
    return []


def _classic_faults(file: StudyFile) -> Found:
    from community.study.classic_runs import ENGINES, known_parameters

    name = file.study.engine.partition(":")[2]
    if name not in ENGINES:
        text = f"no classic model {name!r}{nearest(name, ENGINES)}; there are {', '.join(ENGINES)}"
        return [(("study", "engine"), text)]
    found: Found = []
    if file.scenario:
        found.append((("scenario",), "a classic model has no scenario; leave it out"))
    known = known_parameters(name)
    for factor, levels in file.factors.items():
        is_bundle = all(isinstance(level, dict) and "set" in level for level in levels)
        if factor not in known and not is_bundle:
            text = f"is no parameter of {name}{nearest(factor, known)}; there are"
            found.append((("factors", factor), f"{text} {', '.join(known)}"))
    return found


def _base(file: StudyFile, path: Path) -> tuple[dict[str, Any], Path, Found]:
    """Return the base scenario's data, where it stands, and what is wrong with naming it."""
    if _is_classic(file):
        return {}, path, _classic_faults(file)
    if isinstance(file.scenario, dict):
        return dict(file.scenario), path, []
    if not file.scenario:
        return {}, path, [(("scenario",), 'missing; write scenario = "quickstart" or [scenario]')]
    beside = path.parent / Path(file.scenario).expanduser()
    try:
        found = beside if beside.is_file() else find_scenario(file.scenario)
        return tomllib.loads(found.read_text(encoding="utf-8")), found, []
    except ScenarioError as error:
        return {}, path, [(("scenario",), error.faults[0].text)]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return {}, path, [(("scenario",), f"{file.scenario} cannot be read: {error}")]
