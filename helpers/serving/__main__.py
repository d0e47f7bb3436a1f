"""The server's process: `python -m helpers.serving RUNTIME ...`, started by `helpers.backends`.

It says on its standard output, in a line of JSON, where it listens, and ends with its standard
input; see `helpers.backends.child`.
"""

import argparse
import functools
import json
import os
import socket
import sys
import threading
import time
from importlib import import_module

import uvicorn

from helpers.backends.child import announce_ready_and_wait
from helpers.serving.app import One, build
from helpers.serving.batched import Batched
from helpers.serving.openai import OpenAI

RUNTIMES = {
    "onnx": ("onnx", "Onnx"),
    "openvino": ("openvino", "OpenVino"),
    "mlx": ("mlx", "Mlx"),
    "foundry": ("foundry", "Foundry"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers.serving")
    parser.add_argument("runtime", choices=[*RUNTIMES, "ollama"])
    parser.add_argument("--model", default="edge-slm")
    parser.add_argument("--alias", default="edge-slm", help="the name that clients use")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--api-key", default="")
    parser.add_argument("--options", type=json.loads, default={}, help="the runtime's, as JSON")
    arguments = parser.parse_args()

    # The thread that computes lets the one that answers have its turn after 0.5 ms, not 5: a small
    # model writes several tokens in that time.
    sys.setswitchinterval(0.0005)

    def begin() -> dict:
        anywhere = arguments.host not in {"127.0.0.1", "localhost", "::1"}
        if arguments.runtime == "ollama":  # imported for those alone who want it
            from helpers.serving.library import Library
            from helpers.serving.ollama import Ollama

            host, doors = Library(**arguments.options), [Ollama, OpenAI]
        else:
            host, doors = One(engine_of(arguments)), [OpenAI]
        app = build(host, doors, arguments.api_key, anywhere)
        return {"url": listen(app, arguments.host, arguments.port)}

    announce_ready_and_wait(begin)


def engine_of(arguments: argparse.Namespace) -> Batched:
    """The runtime with its model loaded."""
    module, name = RUNTIMES[arguments.runtime]
    runtime = getattr(import_module(f"helpers.serving.{module}"), name)
    return Batched(
        functools.partial(runtime, arguments.model, **arguments.options), arguments.alias
    )


def listen(app, host: str, port: int) -> str:
    """Serve the app in a thread of this process; its address, once it answers."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By the protocol's name asyncio knows that it may send without delay (40 ms on every answer).
    place = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # a port whose last server has just gone counts as free
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind((host, port))
    # A client that pauses to think finds its connection open: a request that is sent just when the
    # server closes one fails.
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="on", timeout_keep_alive=75
    )
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, args=([place],), daemon=True).start()
    while not server.started:
        time.sleep(0.005)
    return f"http://{host}:{place.getsockname()[1]}"


if __name__ == "__main__":
    main()
