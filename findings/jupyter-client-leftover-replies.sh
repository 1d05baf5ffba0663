#!/bin/sh
# jupyter_client 8.10.0: after wait_for_ready() on a kernel that starts slowly, the shell channel still holds replies.
#
# wait_for_ready() asks for kernel_info once a second until the first reply, and flushes the IOPub channel at its end, but
# not the shell channel. A kernel that takes five seconds to start then answers every question, and the next
# get_shell_msg() gives a kernel_info_reply with status "ok" before there is a reply to what was sent since. Seen with
# Python 3.11 and ipykernel 7.4.0: a test that took that "ok" for its cell's shut the kernel down before the cell ran.
# What to do: compare parent_header.msg_id with that of the request.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check jupyter_client==8.10.0 ipykernel==7.4.0

export JUPYTER_PATH="$folder/share" JUPYTER_RUNTIME_DIR="$folder/runtime" IPYTHONDIR="$folder/ipython"
mkdir -p "$folder/share/kernels/slow"
cat > "$folder/share/kernels/slow/kernel.json" <<JSON
{"argv": ["sh", "-c", "sleep 5; exec $folder/venv/bin/python -m ipykernel_launcher -f \$0", "{connection_file}"],
 "display_name": "slow", "language": "python"}
JSON

"$folder/venv/bin/python" - <<'PYTHON'
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="slow", startup_timeout=120)
try:
    sent = client.execute("1 + 1")
    replies = [client.get_shell_msg(timeout=60)]
    while replies[-1]["parent_header"]["msg_id"] != sent:
        replies.append(client.get_shell_msg(timeout=60))
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
*before, last = [reply["msg_type"] for reply in replies]
print(f"replies before that to the request: {len(before)} of type {set(before)}; then {last}")
assert last == "execute_reply" and len(before) >= 1 and set(before) == {"kernel_info_reply"}
PYTHON
