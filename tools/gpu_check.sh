#!/bin/sh
# Run the tests that need a CUDA device, and nothing else. Makes the virtual environment if there is
# none; torch must be a CUDA build, which this says how to get rather than replacing a CPU build.
set -eu
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}

command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L || {
    echo "error: nvidia-smi finds no card here; these tests need one" >&2
    exit 1
}
make --no-print-directory VENV="$venv" "$venv/.installed-dev"
if "$venv/bin/python" -c 'import sys, torch; sys.exit(torch.version.cuda is not None)'; then
    version=$("$venv/bin/python" -c 'import torch; print(torch.__version__.partition("+")[0])')
    echo "error: torch in $venv is a CPU build. On x86_64 PyPI's own wheel of that version has CUDA:" >&2
    echo "  $venv/bin/python -m pip install --force-reinstall --constraint constraints.txt torch==$version" >&2
    echo "(elsewhere add --index-url https://download.pytorch.org/whl/cu126), then run this again." >&2
    exit 1
fi
"$venv/bin/python" -m community doctor || true
exec "$venv/bin/python" -m pytest -m gpu tests/trainer/test_gpu.py -rA "$@"
