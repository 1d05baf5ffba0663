#!/bin/sh
# structlog 26.1.0 imports rich's traceback renderer with `import structlog`, wherever rich is installed, be it used or not.
#
# Seen with Python 3.11: a program that only wants JSON lines on a server has 52 modules of rich in memory as soon as
# another package has brought rich along. Without rich installed the same import loads none of them. What to do where
# the start of a process counts: import structlog when the first line is logged.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

modules() { # how many modules of rich `import structlog` loads in the environment $1
  "$1/bin/python" -c 'import sys, structlog; print(sum(name.split(".")[0] == "rich" for name in sys.modules))'
}

python3 -m venv "$folder/without"
"$folder/without/bin/python" -m pip install -q --disable-pip-version-check structlog==26.1.0
python3 -m venv "$folder/with"
"$folder/with/bin/python" -m pip install -q --disable-pip-version-check structlog==26.1.0 rich==15.0.0

without=$(modules "$folder/without")
with=$(modules "$folder/with")
echo "modules of rich after 'import structlog': $without without rich installed, $with with it"
[ "$without" -eq 0 ] && [ "$with" -ge 10 ]
