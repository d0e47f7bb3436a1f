"""Training and export: a run learns, stops, goes on; what it writes says the same in llama.cpp."""

import pytest
from conftest import post

from slm import tokenizer as text


@pytest.mark.needs("torch")
def test_training_learns_stops_and_resumes(tmp_path, monkeypatch):
    import torch

    from slm import train

    monkeypatch.setattr(train, "RUNS", tmp_path)
    small = train.Config(hidden_size=64, intermediate_size=64, num_hidden_layers=1)
    monkeypatch.setitem(train.CONFIGS, "tiny", small)
    monkeypatch.setattr(train, "CHUNK", 32)
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        train.train("tiny", train.Recipe(), resume=True)
    path = train.train("tiny", train.Recipe(minutes=5), compiled=False, chunks=4)
    first = torch.load(path, weights_only=True)["state"]
    path = train.train("tiny", train.Recipe(minutes=5), resume=True, compiled=False, chunks=12)
    second = torch.load(path, weights_only=True)["state"]
    assert (first["chunk"], second["chunk"]) == (4, 12)
    assert second["tokens"] > first["tokens"]
    log = (tmp_path / "tiny" / "log.csv").read_text(encoding="utf-8").splitlines()
    assert len(log) == 1 + second["chunk"]
    losses = [float(line.split(",")[4]) for line in log[1:] if line.split(",")[4]]
    assert losses[-1] < losses[0] - 0.5
    assert [p.name for p in tmp_path.rglob("*.partial")] == []
    with pytest.raises(ValueError, match="no model called"):
        train.train("gpt", train.Recipe())


@pytest.mark.needs("torch")
def test_an_exported_network_says_the_same_in_llama_cpp(tmp_path, monkeypatch, new_cache):
    import torch

    from helpers import backends, model
    from slm import export
    from slm.network import Config, Llama

    torch.manual_seed(0)
    config = Config(num_hidden_layers=2)
    network = Llama(config).half().float()  # what fp16 can hold
    with torch.no_grad():
        network.model.embed_tokens.weight.mul_(10)  # far apart logits: no ties to lose
    weights = {name: value.numpy() for name, value in network.half().state_dict().items()}
    network.float()
    monkeypatch.setattr(model, "MODELS", tmp_path)
    export.write(tmp_path / "random", config.as_dict(), weights)

    ids = text.load().encode("Set the hall to 21 degrees.").ids
    expected = list(ids)
    with torch.no_grad():
        for _ in range(16):
            expected.append(int(network(torch.tensor([expected]))[0, -1].argmax()))
    with backends.start("llama.cpp", model="random", quant="F16") as served:
        options = {
            "prompt": ids,
            "n_predict": 16,
            "temperature": 0,
            "return_tokens": True,
            "ignore_eos": True,
        }
        said = post(served, "/completion", options)["tokens"]
    assert said == expected[len(ids) :]
