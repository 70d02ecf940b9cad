"""Repositories as people have them, for `community init`: small, quick, and real to look at."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

PLAIN = {
    "README.md": "# digits\n\nA small classifier.\n\n```sh\npython train.py\n```\n",
    "train.py": '''"""Trains a nearest-centroid classifier on points that it draws itself."""
import os
import random

LEARNING_RATE = 0.02
STEPS = 40
NOISE = 0.3
SEED = int(os.environ.get("COMMUNITY_SEED", "1"))


def main():
    rng = random.Random(SEED)
    weight = 0.0
    for step in range(STEPS):
        x = rng.gauss(1.0, NOISE)
        weight += LEARNING_RATE * (x - weight)
        if step % 10 == 0:
            print(f"step {step}: train_loss {abs(1 - weight):.4f}")
    with open("model.txt", "w") as file:
        file.write(str(weight))
    accuracy = 1.0 - min(1.0, abs(1.0 - weight))
    print(f"test accuracy: {accuracy:.4f}")


if __name__ == "__main__":
    main()
''',
    "tests/test_train.py": "def test_it():\n    assert True\n",
    ".gitignore": "model.txt\n__pycache__/\n.venv/\n",
}
PACKAGE = {
    "README.md": "# pack\n",
    "pyproject.toml": '[project]\nname = "pack"\nversion = "0.1"\n',
    "src/pack/__init__.py": "",
    "src/pack/train.py": '''"""Fits a line; its settings are in config.toml."""
import tomllib
from pathlib import Path

from pack.model import Line
from pack.evaluate import loss_of


def main():
    settings = tomllib.loads(Path("config.toml").read_text())
    line = Line()
    for epoch in range(settings["epochs"]):
        line.step(settings["learning_rate"], settings["momentum"])
        print(f"epoch {epoch} | val_loss: {loss_of(line):.6f}")


if __name__ == "__main__":
    main()
''',
    "src/pack/model.py": """class Line:
    def __init__(self):
        self.slope, self.speed = 0.0, 0.0

    def step(self, rate, momentum):
        self.speed = momentum * self.speed + rate * (3.0 - self.slope)
        self.slope += self.speed
""",
    "src/pack/evaluate.py": """from pathlib import Path


def loss_of(line):
    target = float(Path("data/target.txt").read_text())
    return (line.slope - target) ** 2
""",
    "config.toml": "# what the run does\nepochs = 12\nlearning_rate = 0.05\nmomentum = 0.5\n\n"
    '[output]\nfolder = "out"\n',
    ".gitignore": "data/\nout/\n.env\n",
}
AUTORESEARCH = {
    "README.md": "# autoresearch\n\n1. `uv run prepare.py`\n2. `uv run train.py`\n",
    "program.md": "# autoresearch\n\nOnly edit train.py. Run `uv run train.py > run.log 2>&1`.\n",
    "prepare.py": '''"""Fixed constants, data, evaluation. Not to be changed."""
import os

MAX_SEQ_LEN = 2048
TIME_BUDGET = 2
CACHE_DIR = os.path.join(os.path.expanduser("~"), ".cache", "autoresearch-stub")


def evaluate_bpb(model):
    with open(os.path.join(CACHE_DIR, "shard_06542.txt")) as shard:
        floor = float(shard.read())
    return floor + (model - 0.04) ** 2
''',
    "train.py": '''"""Pretrains a stub of a model. This is the file the agent edits."""
import os
import random
import time

from prepare import TIME_BUDGET, evaluate_bpb

DEPTH = 8
MATRIX_LR = 0.4
WARMDOWN_RATIO = 0.5
WINDOW_PATTERN = "SSSL"

started = time.time()
rng = random.Random(int(os.environ.get("COMMUNITY_SEED", "42")))
model = MATRIX_LR + rng.gauss(0, 0.003)
for step in range(12):
    print(f"\\rstep {step:05d} | loss: {10 - step / 10:.6f}", end="", flush=True)
print()
val_bpb = evaluate_bpb(model)
print("---")
print(f"val_bpb:          {val_bpb:.6f}")
print(f"training_seconds: {min(TIME_BUDGET, 0.1):.1f}")
print(f"total_seconds:    {time.time() - started:.1f}")
print(f"peak_vram_mb:     {2048:.1f}")
print(f"mfu_percent:      {39.8:.2f}")
print(f"num_steps:        {12}")
print(f"depth:            {DEPTH}")
''',
    "pyproject.toml": '[project]\nname = "autoresearch"\nversion = "0.1"\n',
    "progress.png": "not really a picture",
    ".gitignore": "results.tsv\nrun.log\n.venv\n",
}


def repository(root: Path, files: dict[str, str]) -> Path:
    """Write `files` below `root` and commit them."""
    for path, text in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "-c", "user.name=u", "-c", "user.email=u@e.invalid", "commit", "-q", "-m", "first")
    return root


def git(root: Path, *arguments: str) -> str:
    """Call git in `root`."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout


def everything(root: Path) -> dict[str, tuple[str, int, int]]:
    """Return what lies below `root`: path -> hash or link, mode, time of change in nanoseconds."""
    found = {}
    for folder, inner, names in os.walk(root):
        for name in (*inner, *names):
            place = Path(folder) / name
            facts = place.lstat()
            content = ""
            if place.is_symlink():
                content = os.readlink(place)
            elif place.is_file():
                content = hashlib.sha256(place.read_bytes()).hexdigest()
            found[str(place.relative_to(root))] = (content, facts.st_mode, facts.st_mtime_ns)
    return found
