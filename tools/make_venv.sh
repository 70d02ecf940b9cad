#!/bin/sh
# Make the virtual environment that the Makefile uses; install what is missing where we may.
# Takes PYTHON and VENV from the environment. Says what is wrong and what to do otherwise.
set -eu
python=${PYTHON:-python3}
venv=${VENV:-.venv}

command -v "$python" >/dev/null 2>&1 || {
    echo "error: '$python' not found. Install Python 3.11 or newer, or say which: make PYTHON=/path/to/python3" >&2
    exit 1
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "error: '$python' is $("$python" -V 2>&1); research-community needs 3.11 or newer. Say which: make PYTHON=/path/to/python3.11" >&2
    exit 1
}
if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "Installing python$version-venv ..."
        apt-get update -qq && apt-get install -y -qq "python$version-venv"
    else
        echo "error: '$python' cannot make virtual environments. Install them first: sudo apt-get install python$version-venv" >&2
        exit 1
    fi
fi
"$python" -m venv "$venv"
