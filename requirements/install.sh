#!/usr/bin/env bash
# Makes .venv with the tested versions, or completes one that was interrupted. Called by `make install`, from the clone's root.
# TORCH: cpu, cuda, a pip requirement, or nothing (cuda where there is an NVIDIA device, else cpu).
set -euo pipefail

CPU_INDEX=https://download.pytorch.org/whl/cpu
TESTED=requirements/tested.txt
say() { echo "install: $*"; }

find_python() {
    for name in ${PYTHON:-python3.11 python3 python3.12 python3.13 python}; do
        if "$name" -c 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "install: needs Python 3.11 or newer with venv (Debian: apt install python3-venv); PYTHON=... names one" >&2
    exit 1
}

# An index that does not answer must not stop us: pip would try for minutes.
answers() {
    .venv/bin/python - "$1" 2>/dev/null <<'PY'
import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=10).close()
PY
}

install_cpu_torch() {
    if [ "$(uname -s)" != Linux ]; then
        say "torch $version, about 100 MB"
        $pip "torch==$version"
    elif answers "$CPU_INDEX/torch/"; then
        say "torch $version, CPU build, about 200 MB from $CPU_INDEX"
        $pip "torch==$version+cpu" --extra-index-url "$CPU_INDEX"
    elif $pip "torch==$version+cpu" 2>/dev/null; then
        say "torch $version, CPU build, from the package folders pip is set up with"
    else
        say "$CPU_INDEX does not answer; torch $version as the default index has it (on Linux with CUDA, about 3 GB)"
        $pip "torch==$version"
    fi
}

install_torch() {
    version=$(sed -n 's/^torch==//p' "$TESTED")
    local wanted=${TORCH:-}
    if [ -z "$wanted" ]; then
        wanted=cpu
        if [ -e /proc/driver/nvidia/version ] || nvidia-smi -L >/dev/null 2>&1; then wanted=cuda; fi
        say "torch for $wanted, by this machine's devices (TORCH=cpu|cuda|SPEC decides otherwise)"
    fi
    case "$wanted" in
        cpu) install_cpu_torch ;;
        cuda) say "torch $version with CUDA, about 3 GB"; $pip "torch==$version" ;;
        *) say "$wanted"; $pip "$wanted" ;;
    esac
}

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    say "makes .venv with $("$python" --version)"
    "$python" -m venv .venv
fi
pip=".venv/bin/python -m pip install --quiet --disable-pip-version-check"
install_torch
say "the other packages of pyproject.toml in the versions of $TESTED, about 250 MB"
$pip -c "$TESTED" setuptools
constraints=$(mktemp)
trap 'rm -f "$constraints"' EXIT
# The torch that is there stays, whichever was asked for.
{ grep -v '^torch==' "$TESTED"; .venv/bin/python -m pip list --format=freeze | grep '^torch=='; } > "$constraints"
$pip -c "$constraints" --no-build-isolation -e ".[test,dev]"
say "done"
