"""The commands: `python -m slm corpus | tokenizer | train | profile | export | evaluate`."""

import argparse
import sys
import time
from itertools import islice
from pathlib import Path


def show(count: int, seed: int, skill: str | None) -> None:
    """Print conversations, and how many a second are drawn, rendered and tokenized here."""
    from slm import tokenizer as text
    from slm.corpus import SHARES, conversations

    if skill and skill not in SHARES:
        sys.exit(f"no skill called {skill!r}; there is {', '.join(SHARES)}")
    drawn = conversations(seed, shares={skill: 1} if skill else None)
    for conversation in islice(drawn, count):
        print(f"--- {conversation.skill}\n{text.render(conversation.messages, conversation.tools)}")
    started = time.perf_counter()
    for conversation in islice(drawn, 1000):
        text.encode(conversation, text.load())
    print(f"{1000 / (time.perf_counter() - started):.0f} conversations a second on one core")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m slm", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("corpus", help="print conversations as the model reads them")
    add.add_argument("--count", type=int, default=3)
    add.add_argument("--seed", type=int, default=1)
    add.add_argument("--skill", help="of this skill only, a file of slm/corpus/skills")
    add = commands.add_parser("tokenizer", help="learn slm/tokenizer.json from the corpus anew")
    add.add_argument("--vocab-size", type=int, default=4096)
    add = commands.add_parser("train", help="train a model, or go on training it (needs torch)")
    add.add_argument("--model", default="edge-slm")
    add.add_argument("--minutes", type=float, default=60, help="training time in all")
    add.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    add.add_argument(
        "--decay", type=float, default=0.4, help="the part of it in which the learning rate falls"
    )
    add.add_argument("--start", help="begin with the weights of this model")
    add = commands.add_parser("profile", help="where a training step's time goes (needs torch)")
    add.add_argument("--model", default="edge-slm")
    add = commands.add_parser("export", help="write the checkpoint to models/NAME (needs torch)")
    add.add_argument("--model", default="edge-slm")
    add = commands.add_parser("onnx", help="build a model as ONNX (needs torch and the extra onnx)")
    add.add_argument("--model", default="edge-slm")
    add.add_argument("--precision", default="fp32", help="fp32, fp16, int8 or int4")
    add = commands.add_parser("evaluate", help="examine a model through its real runtime")
    add.add_argument("--model", nargs="+", default=[], help="of the course, or of the endpoint")
    add.add_argument("--quant", nargs="+", default=["Q8_0"], help="e.g. F16 Q8_0 Q4_K_M")
    add.add_argument("--sets", nargs="+", help="of patterns, unseen, natural; all without it")
    add.add_argument("--share", type=float, default=1.0, help="part of the cases, e.g. 0.1")
    add.add_argument("--constrained", action="store_true", help="calls also under a grammar")
    add.add_argument("--base-url", help="an OpenAI-compatible endpoint; its key: OPENAI_API_KEY")
    add.add_argument("--show", type=int, default=0, help="print so many wrong cases of a measure")
    add.add_argument("--output", type=Path, help="the JSON file (slm/runs/exam.json)")
    arguments = parser.parse_args()

    if arguments.command == "corpus":
        show(arguments.count, arguments.seed, arguments.skill)
    elif arguments.command == "tokenizer":
        from slm import tokenizer

        made = tokenizer.train(arguments.vocab_size)
        made.save(str(tokenizer.PATH))
        print(f"{tokenizer.PATH}: {made.get_vocab_size()} entries")
    elif arguments.command == "train":
        from slm.train import recipe_for, train

        recipe, workers = recipe_for(arguments.minutes, arguments.decay, arguments.start)
        try:
            path = train(
                arguments.model, recipe, arguments.resume, workers=workers, start=arguments.start
            )
        except (ValueError, FileNotFoundError) as error:
            parser.exit(2, f"{error}\n")
        print(path)
    elif arguments.command == "profile":
        from slm import profile

        profile.main(arguments.model)
    elif arguments.command == "export":
        from slm.export import export

        print(export(arguments.model))
    elif arguments.command == "onnx":
        from helpers.model import ModelError
        from slm import onnx

        try:
            print(onnx.build(arguments.model, arguments.precision))
        except ModelError as error:
            parser.exit(2, f"{error}\n")
    else:
        from helpers.backends import BackendError
        from helpers.model import ModelError
        from slm.evaluate import RESULTS, SETS, ExamError, evaluate

        if arguments.base_url and (arguments.constrained or arguments.quant != ["Q8_0"]):
            parser.error(
                "--quant and --constrained are for models of the course, not for --base-url"
            )
        try:
            evaluate(
                tuple(arguments.model),
                tuple(arguments.quant),
                tuple(arguments.sets or SETS),
                arguments.share,
                arguments.constrained,
                base_url=arguments.base_url,
                show=arguments.show,
                output=arguments.output or RESULTS,
            )
        except (ValueError, ModelError, BackendError, ExamError) as error:
            parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
