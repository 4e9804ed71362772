#!/bin/sh
# Says what is missing on this machine, and how to get it.
python=$1
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
  echo "missing: Python 3.11, 3.12 or 3.13 as '$python' (Debian: apt-get install python3; or: make PYTHON=/path/to/python3.12 ...)" >&2
  exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  echo "missing: Python's venv module (Debian: apt-get install python3-venv)" >&2
  exit 1
fi
