#!/usr/bin/env bash
# Makes .venv with the tested versions, or completes one that was interrupted; `make install` calls it from the clone's root.
# The last thing it does is to note in the file $1 which torch it took.
# TORCH: cpu, cuda or a pip requirement; without it what was taken before, else cuda where there is an NVIDIA device, else cpu.
set -euo pipefail

NOTE=$1
CPU_INDEX=https://download.pytorch.org/whl/cpu
TESTED=requirements/tested.txt
VERSION=$(sed -n 's/^torch==//p' "$TESTED")

say() { echo "install: $*"; }
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }

find_python() {
    local name
    for name in ${PYTHON:-python3.11 python3 python3.12 python3.13 python}; do
        if "$name" -c 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "install: needs Python 3.11 or newer with venv (Debian: apt install python3-venv); PYTHON=... names one" >&2
    return 1
}

has_nvidia() { [ -e /proc/driver/nvidia/version ] || nvidia-smi -L >/dev/null 2>&1; }

# pip would wait minutes for an index that does not answer.
answers() { .venv/bin/python -c 'import sys, urllib.request as web; web.urlopen(sys.argv[1], timeout=10)' "$1" 2>/dev/null; }

torch_is() { pip list --format=freeze 2>/dev/null | grep -q "^torch==$1"; }

# Only Linux has builds with and without CUDA under one version; the default index there is the one with.
install_cpu_torch() {
    if [ "$(uname -s)" != Linux ]; then
        say "torch $VERSION, about 100 MB"
        pip install --quiet "torch==$VERSION"
    elif answers "$CPU_INDEX/torch/"; then
        say "torch $VERSION, CPU build, about 200 MB from $CPU_INDEX"
        pip install --quiet "torch==$VERSION+cpu" --extra-index-url "$CPU_INDEX"
    elif pip install --quiet "torch==$VERSION+cpu" 2>/dev/null; then
        say "torch $VERSION, CPU build, from where pip is set up to look"
    else
        say "$CPU_INDEX does not answer; torch $VERSION as the default index has it, with CUDA about 3 GB"
        pip install --quiet "torch==$VERSION"
    fi
}

install_cuda_torch() {
    say "torch $VERSION with CUDA, about 3 GB"
    if torch_is "$VERSION+cpu"; then pip uninstall --quiet --yes torch; fi # it would pass for the same version
    pip install --quiet "torch==$VERSION"
}

if ! pip --version >/dev/null 2>&1; then
    python=$(find_python)
    say "makes .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

torch=${TORCH:-$(cat "$NOTE" 2>/dev/null || true)}
if [ -z "$torch" ]; then
    torch=cpu
    if has_nvidia; then torch=cuda; fi
    say "torch for $torch, by this machine's devices (TORCH=cpu|cuda|SPEC decides otherwise)"
fi
rm -f "$NOTE"
case $torch in
    cpu) install_cpu_torch ;;
    cuda) install_cuda_torch ;;
    *) say "$torch" && pip install --quiet "$torch" ;;
esac

say "the other packages of pyproject.toml in the versions of $TESTED, about 250 MB"
constraints=$(mktemp)
trap 'rm -f "$constraints"' EXIT
{
    grep -v '^torch==' "$TESTED"
    pip list --format=freeze 2>/dev/null | grep '^torch==' # stays, whichever it is
} >"$constraints"
pip install --quiet --constraint "$constraints" setuptools setuptools-scm # seqeval takes its version from the latter
pip install --quiet --constraint "$constraints" --no-build-isolation --editable ".[test,dev]"
echo "$torch" >"$NOTE"
say "done; source .venv/bin/activate, or call .venv/bin/python"
