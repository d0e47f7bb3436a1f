"""The maintainer's commands, each a module beside this one; `--help` after a command says more."""

import argparse


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("labs", help="write labs/ from solutions/")
    add.add_argument("--check", action="store_true", help="only say which labs are out of date")
    add = commands.add_parser("execute", help="run notebooks, keep their outputs, fill their cards")
    add.add_argument("notebooks", nargs="*", help="paths; all lessons and solutions without one")
    add = commands.add_parser("card", help="put the exam's results into the models' cards")
    add.add_argument("reports", nargs="*", help="JSON files of `slm evaluate`; its own default")
    add = commands.add_parser(
        "bench", help="tokens/s: llama.cpp's defaults against hand-set ones, or all runtimes"
    )
    add.add_argument("what", nargs="?", choices=["defaults", "backends"], default="defaults")
    add.add_argument("names", nargs="*", help="of the runtimes; all that are here without one")
    add.add_argument("--rounds", type=int, default=7)
    add = commands.add_parser("speed", help="a model's tokens/s and memory, beside llama-bench")
    add.add_argument("--model", default="edge-slm")
    add.add_argument("--quant", nargs="+", default=["Q8_0", "Q4_K_M"])
    add.add_argument("--rounds", type=int, default=5)
    add.add_argument("--llama-bench", help="path of llama.cpp's benchmark program")
    commands.add_parser("vllm", help="make the environment that vLLM needs, once")
    add = commands.add_parser("pins", help="resolve anew and write the pins of all dependencies")
    add.add_argument("--check", action="store_true", help="only compare the files with each other")
    arguments = parser.parse_args()

    # Each command imports only what it needs.
    if arguments.command == "labs":
        from tools import labs

        labs.main(arguments.check)
    elif arguments.command == "execute":
        from tools import execute

        execute.main(arguments.notebooks)
    elif arguments.command == "card":
        from tools import card

        card.main(arguments.reports)
    elif arguments.command == "bench":
        from tools import bench, bench_backends

        if arguments.what == "backends":
            bench_backends.main(arguments.names, arguments.rounds)
        else:
            bench.main(arguments.rounds)
    elif arguments.command == "speed":
        from tools import speed

        speed.main(arguments.model, arguments.quant, arguments.rounds, arguments.llama_bench)
    elif arguments.command == "vllm":
        from tools import vllm

        vllm.main()
    else:
        from tools import pins

        pins.main(arguments.check)


if __name__ == "__main__":
    main()
