# Sourced by deploy/demo and deploy/test: makes the project's own .venv, once, and sets $python to it.
# Whoever sources it may set $extras; the tests need torch, which the demo does not.
# Everything it says goes to stderr, so that a command's last line of stdout stays its result.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
checkout=$PWD

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# The newest interpreters first, because a plain python3 may be too old for numba and numpy.
find_interpreter() {
    local candidate
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
}

make_venv() {
    local interpreter found
    interpreter=$(find_interpreter)
    if [ -z "$interpreter" ]; then
        # By what it prints, not by its exit code: some wrappers name their version and fail.
        found=$(python3 --version 2>/dev/null | head -n 1)
        fail "Python 3.11 or newer is needed, found ${found:-none}:" \
            "apt install python3 python3-venv (Debian 12 or newer)"
    fi
    # Debian ships venv without ensurepip, and venv then leaves a half-made folder behind.
    if ! "$interpreter" -c 'import ensurepip, venv' 2>/dev/null; then
        fail "$interpreter cannot make virtual environments: apt install python3-venv"
    fi
    echo "Making $checkout/.venv with $("$interpreter" --version)" >&2
    rm -rf .venv
    "$interpreter" -m venv .venv || fail "could not make $checkout/.venv: is the disk full or read-only?"
}

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    make_venv
fi
python=$checkout/.venv/bin/python

# The path is part of the stamp: a folder that was moved or copied has an editable install elsewhere.
extras=${extras:-io,test}
stamp=$({ cat pyproject.toml .ci/constraints.txt; echo "$checkout"; } | "$python" -c \
    'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read() + sys.version.encode()).hexdigest())')
# What more was installed before is kept: a stamp for these extras, or for these and further ones,
# says that they are there.
if ! grep -qsxF "$stamp" ".venv/installed-$extras"*; then
    echo "Installing latticewatch and its libraries into .venv: a few minutes, this once" >&2
    "$python" -m pip install --quiet --disable-pip-version-check -e ".[$extras]" \
        -c .ci/constraints.txt >&2 ||
        fail "pip could not install the libraries: is there a network, or a proxy to name in PIP_PROXY?"
    printf '%s\n' "$stamp" >".venv/installed-$extras"
fi
