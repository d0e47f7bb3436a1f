"""The commands: `python -m slm tokenizer | train | export | evaluate`."""

import argparse


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m slm", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("tokenizer", help="learn slm/tokenizer.json from the corpus anew")
    add.add_argument("--vocab-size", type=int, default=2048)
    add = commands.add_parser("train", help="train a model, or go on training it (needs torch)")
    add.add_argument("--model", default="edge-slm")
    add.add_argument("--minutes", type=float, default=60, help="training time in all")
    add.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    add = commands.add_parser("export", help="write the checkpoint to models/NAME (needs torch)")
    add.add_argument("--model", default="edge-slm")
    add = commands.add_parser("evaluate", help="ask the exported model through its real runtime")
    add.add_argument("--cases", type=int, default=200)
    add.add_argument("--seed", type=int, default=7)
    add.add_argument("--show", type=int, default=0, help="print so many wrong cases of each skill")
    arguments = parser.parse_args()

    if arguments.command == "tokenizer":
        from slm import tokenizer

        made = tokenizer.train(arguments.vocab_size)
        made.save(str(tokenizer.PATH))
        print(f"{tokenizer.PATH}: {made.get_vocab_size()} entries")
    elif arguments.command == "train":
        from slm.train import Recipe, train

        print(train(arguments.model, Recipe(minutes=arguments.minutes), arguments.resume))
    elif arguments.command == "export":
        from slm.export import export

        print(export(arguments.model))
    else:
        from slm.evaluate import evaluate

        evaluate(arguments.cases, arguments.seed, arguments.show)


if __name__ == "__main__":
    main()
