#!/bin/sh
# Makes the virtual environment from the lock and puts the `bus` command into it. Quick when nothing changed.
#   PYTHON=/path/to/python3   use this interpreter      VENV=folder   make it there (default .venv)
set -eu
cd "$(dirname "$0")/../.."
VENV=${VENV:-.venv}
LOWEST=11
HIGHEST=14 # requires-python in pyproject.toml; tests/unit/test_lock.py holds the two together

say() { printf '%s\n' "$*" >&2; }

fits() { "$1" -c "import sys; raise SystemExit(not (sys.implementation.name == 'cpython' and (3, $LOWEST) <= sys.version_info[:2] <= (3, $HIGHEST)))" 2>/dev/null; }

makes_venvs() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" || { say "PYTHON=$PYTHON is not a CPython 3.$LOWEST to 3.$HIGHEST that runs here."; exit 1; }
        candidates=$PYTHON
    else
        candidates="python3.13 python3.12 python3.11 python3.14 python3 python"
    fi
    lame=""
    for candidate in $candidates; do
        fits "$candidate" || continue
        if makes_venvs "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
        lame=$candidate
    done
    if [ -n "$lame" ]; then
        version=$("$lame" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        say "$lame (Python $version) has no venv module. Install it and run this again:"
        say "  Debian, Ubuntu:  sudo apt install python$version-venv"
        say "  elsewhere:       the python.org installer, Homebrew and pyenv include it"
    else
        say "No fitting Python found: this needs CPython 3.$LOWEST to 3.$HIGHEST (looked for: $candidates). Install one and run this again:"
        say "  Debian 12+, Ubuntu 24.04+:  sudo apt install python3 python3-venv"
        say "  Fedora, RHEL 9+:            sudo dnf install python3.12"
        say "  macOS:                      brew install python@3.13, or the installer of python.org"
        say "or name one:  make setup PYTHON=/path/to/python3"
    fi
    exit 1
}

# Which interpreter it is, venv or not.
origin() { "$1" -c 'import sys; print(sys.base_prefix, sys.version)' 2>/dev/null; }

as_asked() { [ -z "${PYTHON:-}" ] || [ "$(origin "$PYTHON")" = "$(origin "$VENV/bin/python")" ]; }

stamp() { cat requirements.lock pyproject.toml deploy/python/setup.sh | cksum; }

if [ -x "$VENV/bin/bus" ] && [ "$(cat "$VENV/.simpul" 2>/dev/null)" = "$(stamp) $(pwd)" ] && fits "$VENV/bin/python" && as_asked; then
    [ -n "${QUIET:-}" ] || say "$VENV is up to date ($("$VENV/bin/python" --version))"
    exit 0
fi

PYTHON_FOUND=$(find_python)
# An environment of another interpreter, of a moved folder or half made is not mended but made anew.
if [ ! -f "$VENV/.simpul" ] || ! fits "$VENV/bin/python" || [ "$(sed 's/^[0-9]* [0-9]* //' "$VENV/.simpul")" != "$(pwd)" ] || ! as_asked; then
    if [ -e "$VENV" ] && [ ! -f "$VENV/pyvenv.cfg" ]; then
        say "$VENV exists and is no virtual environment; it is left alone. Remove it, or choose another: make setup VENV=folder"
        exit 1
    fi
    if [ -L "$VENV" ]; then
        say "$VENV is a link to an environment that is not this folder's; it is left alone. Remove the link, or choose another: make setup VENV=folder"
        exit 1
    fi
    say "Making $VENV with $PYTHON_FOUND ($("$PYTHON_FOUND" --version))"
    "$PYTHON_FOUND" -m venv --clear "$VENV"
fi

total=$(grep -c '^[A-Za-z0-9].*==' requirements.lock)
log=$VENV/setup.log
# Faust has no wheel for Linux on ARM; there, and only there, pip may build from source (needs a C compiler).
wheels="--only-binary :all:"
case "$(uname -s) $(uname -m)" in Linux\ aarch64 | Linux\ arm64) wheels="--prefer-binary" ;; esac
say "Installing $total packages from requirements.lock (log: $log)"
rm -f "$VENV/.simpul" "$VENV/.failed"
# shellcheck disable=SC2086
{ "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off --no-compile --require-hashes $wheels -r requirements.lock 2>&1 || touch "$VENV/.failed"; } |
    tee "$log" | awk -v total="$total" '
        /^(Collecting|Requirement already satisfied)/ { seen++; if (seen % 10 == 0) { printf "  %d of about %d\n", seen, total; fflush() } }
        /^Installing collected/ { print "  unpacking"; fflush() }
        /^(WARNING|ERROR)/ { print "  " $0; fflush() }' >&2
if [ ! -e "$VENV/.failed" ]; then
    "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --quiet --no-index --no-deps --no-build-isolation --editable . >>"$log" 2>&1 || touch "$VENV/.failed"
fi
if [ -e "$VENV/.failed" ]; then
    say "Installing failed. The last lines of $log:"
    tail -n 15 "$log" >&2
    exit 1
fi
printf '%s %s\n' "$(stamp)" "$(pwd)" >"$VENV/.simpul"
say "Ready: $VENV/bin/bus"
