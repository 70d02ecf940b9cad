"""Script tasks that end-to-end tests run: a stub of the autoresearch layout with ways to fail."""

from __future__ import annotations

from pathlib import Path

TRAIN = '''"""A stub of a training script: it reads its data and reports as it should."""
import json
import sys
import time
from pathlib import Path

MODE = "good"
LR = 0.5

shard = Path.home() / ".cache" / "stub" / "shard.txt"
floor = float(shard.read_text())
print("step 1\\rstep 2\\rstep 3")
if MODE == "crash":
    raise RuntimeError("it went wrong")
print("---")
if MODE == "missing":
    sys.exit(0)
if MODE == "hang":
    time.sleep(600)
score = floor + (LR - 0.1) ** 2
if MODE == "nan":
    score = float("nan")
Path("out").mkdir()
Path("out/model.json").write_text(json.dumps({"lr": LR}))
print(f"val_bpb:          {score:.6f}")
if MODE == "twice":
    print("val_bpb:          0.100000")
print("peak_vram_mb:     2048.0")
'''
TASK = """kind = "script"
metric = "val_bpb"
unit = "bits per byte"
direction = "lower"
editable = ["train.py"]

[budget]
kind = "device_seconds"
amount = 3

[script]
command = ["python", "train.py"]
data = [{{ source = "{data}", target = "~/.cache/stub" }}]

[knobs]
path = "train.py"
"""
KNOBS = """[MODE]
kind = "choice"
choices = ["good", "missing", "twice", "nan", "crash", "hang"]

[LR]
kind = "float"
low = 0.001
high = 1.0
scale = "log"
"""


GRADE = """def check(artifact):
    if set(artifact) != {"lr"} or not 0 < artifact["lr"] <= 1:
        raise ValueError("leave one number, lr")


def score(artifact, held_out):
    return {"val_bpb": 3.0 + (artifact["lr"] - 0.02) ** 2}
"""


def add_grader(task: Path) -> None:
    """Have the stub's file graded, which finds another optimum than the script says."""
    (task / "locked").mkdir()
    (task / "locked" / "grade.py").write_text(GRADE)
    text = (task / "task.toml").read_text()
    text = text.replace(
        "[script]\n", '[artifact]\nformat = "json"\n\n[script]\nleaves = "out/model.json"\n'
    )
    (task / "task.toml").write_text(text)


def stub_task(into: Path, floor: float = 1.0) -> Path:
    """Write a script task whose experiments take as long as Python does to start."""
    task, data = into / "stub", into / "stub-data"
    (task / "start").mkdir(parents=True)
    data.mkdir()
    (data / "shard.txt").write_text(f"{floor}\n")
    (task / "start" / "train.py").write_text(TRAIN)
    (task / "task.toml").write_text(TASK.format(data=data))
    (task / "knobs.toml").write_text(KNOBS)
    (task / "brief.md").write_text("Lower val_bpb.\n")
    return task
