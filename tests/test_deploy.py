"""The files in deploy/: what of them can be checked without a cloud."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml
from typer.testing import CliRunner

from community.cli.application import application
from community.loading import read_scenario

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
SCENARIO = DEPLOY / "sixteen_gpus.toml"
SKYPILOT = {
    *("name", "workdir", "num_nodes", "resources", "envs", "secrets", "file_mounts", "volumes"),
    *("setup", "run", "config", "service", "pool"),
}
"""Keys of a task, by https://docs.skypilot.co/en/latest/reference/yaml-spec.html"""


def cluster(name: str) -> Any:
    """Read one of the files."""
    return yaml.safe_load((DEPLOY / name).read_text())


def test_the_ray_cluster_holds_rays_own_schema_and_has_sixteen_gpus():
    """What `ray up` checks first; the nodes are as many as the scenario has slots."""
    config = cluster("ray_cluster.yaml")
    schema = Path(ray.__file__).parent / "autoscaler/ray-schema.json"
    jsonschema.validate(config, json.loads(schema.read_text()))
    nodes = config["available_node_types"]
    gpus = sum(node["min_workers"] * node["resources"].get("GPU", 0) for node in nodes.values())
    assert gpus == read_scenario(str(SCENARIO)).scenario.pool.slots
    assert config["head_node_type"] in nodes
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**config, "max_worker": 2}, json.loads(schema.read_text()))


def test_the_skypilot_task_has_keys_that_there_are_and_as_many_gpus():
    """Its shell is whole, it waits for all of its GPUs, and starts the same scenario."""
    task = cluster("skypilot.yaml")
    assert set(task) <= SKYPILOT
    per_node = set(task["resources"]["accelerators"].values())
    assert {task["num_nodes"] * count for count in per_node} == {16}
    assert "'/16.0 GPU'" in task["run"]
    assert task["envs"]["COMMUNITY_SCENARIO"] == f"deploy/{SCENARIO.name}"


@pytest.mark.parametrize("where", ["deploy/README.md", "README.md"])
def test_commands_in_the_instructions_are_those_that_there_are(where: str):
    """Every `community` command of them parses; every file that they name is there."""
    text = (DEPLOY.parent / where).read_text()
    section = (
        text if where.startswith("deploy") else text.split("## Sixteen GPUs")[1].split("\n## ")[0]
    )
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))
    lines = [shlex.split(line, comments=True) for line in blocks.splitlines()]
    ours = [words[1:] for words in lines if words[:1] == ["community"]]
    assert len(ours) >= 2
    for words in ours:
        command = [word for word in words if not word.startswith("-")][:1]
        assert CliRunner().invoke(application(), [*command, "--help"]).exit_code == 0
    for named in re.findall(r"(?:deploy|scenarios)/[\w./-]*\w", blocks):
        assert (DEPLOY.parent / named).exists(), named


def test_what_it_costs_is_told_before():
    """Hours and dollars are those of the runs, at the scenario's own price."""
    result = CliRunner().invoke(application(), ["estimate", str(SCENARIO)])
    assert result.exit_code == 0, result.output
    section = read_scenario(str(SCENARIO)).scenario
    hours = (910 + 16 + 4 * section.seal.runs) * 300 / 3600
    told = re.search(r"([\d.]+) to [\d.]+ device-hours", result.output)
    cost = re.search(r"what they cost: \$([\d.]+) to", result.output)
    assert told is not None
    assert cost is not None
    assert float(told.group(1)) == pytest.approx(hours, rel=0.01)
    assert section.pool.dollars_per_device_hour is not None
    assert float(cost.group(1)) == pytest.approx(
        hours * section.pool.dollars_per_device_hour, abs=0.01
    )
