#!/usr/bin/python3
"""A coding agent that a server of the tests tells what to do; run inside the sandbox, as a program.

Installed as ``claude`` or ``codex`` it takes that program's flags and prints what that one prints.
It has the standard library alone, and gets out through the proxy as the real ones do.
"""

import http.client
import json
import os
import sys
import time

NAME = os.path.basename(sys.argv[0])
FLAGS = sys.argv[1:]


def after(flag):
    """Return the argument that follows a flag; empty without it."""
    return FLAGS[FLAGS.index(flag) + 1] if flag in FLAGS else ""


def asked():
    """Tell the server what was asked; returns (status, what it says to do)."""
    said = {"model": "m", "prompt": sys.stdin.read(), "argv": FLAGS, "resumed": resumed()}
    proxy = os.environ["HTTP_PROXY"].removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(proxy[0], int(proxy[1]), timeout=30)
    key = os.environ.get("ANTHROPIC_API_KEY") or os.environ.get("OPENAI_API_KEY") or ""
    url = os.environ["MODEL_URL"] + "/errand"
    connection.request("POST", url, json.dumps(said), {"x-api-key": key})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def resumed():
    """Return the conversation that is gone on with."""
    if NAME == "claude":
        return after("--resume")
    return FLAGS[-2] if "resume" in FLAGS else ""


def carry_out(todo):
    """Change files, run what is to be run, write what is wanted."""
    for path, old, new in todo.get("edits", ()):
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text.replace(old, new))
    if "python" in todo:
        exec(todo["python"], {"__name__": "told"})
    calls = todo.get("calls")
    if calls:
        actions = [{"name": name, "arguments": arguments} for name, arguments in calls]
        with open("actions.json", "w", encoding="utf-8") as stream:
            json.dump({"actions": actions}, stream)


def print_line(event):
    """Print an event, at once."""
    print(json.dumps(event), flush=True)


def claude_usage(used):
    """Return tokens as ``claude`` tells them."""
    return {
        "input_tokens": used.get("input", 0),
        "output_tokens": used.get("output", 0),
        "cache_read_input_tokens": used.get("cache_read", 0),
        "cache_creation_input_tokens": used.get("cache_write", 0),
    }


def print_steps(todo):
    """Print what the program tells of its steps while it goes on; claude tells of each twice."""
    for number, used in enumerate(todo.get("steps", ())):
        if NAME == "claude":
            said = [{"type": "text", "text": f"step {number}"}]
            message = {"id": f"msg_{number}", "content": said, "usage": claude_usage(used)}
            event = {"type": "assistant", "message": message, "session_id": session()}
            print_line(event)
            print_line(event)
        else:
            print_line({"type": "turn.completed", "usage": codex_usage(used)})


def session():
    """Return the conversation's name, as claude has them."""
    return resumed() or "5f0c9a52-0000-4000-8000-0123456789ab"


def print_claude(todo, error):
    """Print what ``claude -p --output-format stream-json --verbose`` prints in the end."""
    result = {
        "type": "result",
        "subtype": "error_max_turns" if todo.get("ending") == "truncated" else "success",
        "is_error": bool(error),
        "result": error or todo.get("text", ""),
        "session_id": session(),
        "num_turns": 3,
        "total_cost_usd": todo.get("usd", 0.0),
        "usage": claude_usage(todo.get("usage", {})),
        "permission_denials": [],
    }
    print_line({"type": "system", "subtype": "init", "session_id": session(), "tools": ["Bash"]})
    print_line(result)


def codex_usage(used):
    """Return tokens as ``codex`` tells them."""
    read = used.get("input", 0) + used.get("cache_read", 0)
    cached = {"cached_input_tokens": used.get("cache_read", 0)}
    return {"input_tokens": read, **cached, "output_tokens": used.get("output", 0)}


def print_codex(todo, error):
    """Print what ``codex exec --json`` prints."""
    used = todo.get("usage", {})
    thread = resumed() or "0199a213-81c0-7800-8aa1-bbab2a035a53"
    events = [{"type": "thread.started", "thread_id": thread}, {"type": "turn.started"}]
    if error:
        events += [{"type": "error", "message": error}]
        events += [{"type": "turn.failed", "error": {"message": error}}]
    else:
        item = {"id": "item_1", "type": "agent_message", "text": todo.get("text", "")}
        events += [{"type": "item.completed", "item": item}]
        events += [{"type": "turn.completed", "usage": codex_usage(used)}]
    print("\n".join(json.dumps(each) for each in events))


def main():
    """Take one turn."""
    status, todo = asked()
    error = "" if status == 200 else f"API Error: {status} {json.dumps(todo)}"
    if not error:
        carry_out(todo)
        print_steps(todo)
        while todo.get("hangs"):
            time.sleep(1)
    (print_claude if NAME == "claude" else print_codex)(todo, error)
    return 1 if error else todo.get("exit", 0)


if __name__ == "__main__":
    sys.exit(main())
