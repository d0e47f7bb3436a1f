"""Training and export: a run learns, stops, goes on; what it writes says the same in llama.cpp."""

import pytest
from conftest import post

from slm import tokenizer as text


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The training module with a model of four thin layers, and a clock that counts its calls."""
    from itertools import count

    from slm import train

    config = train.Config(hidden_size=64, intermediate_size=64, num_hidden_layers=4)
    monkeypatch.setattr(train, "RUNS", tmp_path)
    monkeypatch.setitem(train.CONFIGS, "tiny", config)
    monkeypatch.setattr(train, "SAVED_EVERY", 2)
    calls = count()
    monkeypatch.setattr(train.time, "perf_counter", lambda: float(next(calls)))
    return train


@pytest.fixture(scope="module")
def learnt():
    """Associations of words, learnt from a part of what a training takes."""
    from slm.associations import associations
    from slm.network import Config
    from slm.wiring import rank

    return associations(rank(Config()), amount=6000)


def small(train, **changes):
    recipe = {
        "minutes": 5,
        "batch_tokens": 2048,
        "chunk": 32,
        "associated": 20,
        "finding_chunks": 1,
        "answers_chunks": 1,
        "copying_chunks": 2,
    }
    return train.Recipe(**recipe | changes)


@pytest.mark.needs("torch")
def test_training_learns_and_writes_its_log(tiny, tmp_path):
    path = tiny.train("tiny", small(tiny), compiled=False, chunks=12)
    import torch

    state = torch.load(path, weights_only=True)["state"]
    assert state["chunk"] == 12
    lines = (tmp_path / "tiny" / "log.csv").read_text(encoding="utf-8").splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    assert [int(row["chunk"]) for row in rows] == list(range(1, 13))
    assert rows[0]["look at the tool"] and not rows[0]["one_call"] and rows[5]["one_call"]
    calls = [float(row["one_call"]) for row in rows if row["one_call"]]
    assert calls[-1] < calls[0] - 0.5
    assert (tmp_path / "tiny" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert [found.name for found in tmp_path.rglob("*partial*")] == []


@pytest.mark.needs("torch")
def test_a_run_that_was_stopped_goes_on_exactly(tiny, tmp_path, monkeypatch):
    import torch

    monkeypatch.setitem(tiny.CONFIGS, "whole", tiny.CONFIGS["tiny"])
    whole = tiny.train("whole", small(tiny), compiled=False, chunks=5)
    # Killed after the third chunk was logged; its last checkpoint is that of the second.
    log, real_log = tmp_path / "tiny" / "log.csv", tiny.log

    def killed(path, state, losses):
        real_log(path, state, losses)
        if state["chunk"] == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(tiny, "log", killed)
    with pytest.raises(KeyboardInterrupt):
        tiny.train("tiny", small(tiny), compiled=False, chunks=5)
    assert len(log.read_text(encoding="utf-8").splitlines()) == 1 + 3
    monkeypatch.setattr(tiny, "log", real_log)
    stopped = tiny.train("tiny", small(tiny), resume=True, compiled=False, chunks=5)
    one, other = (torch.load(path, weights_only=True) for path in (whole, stopped))
    assert one["state"] == other["state"]
    for name, weight in one["network"].items():
        assert torch.equal(weight, other["network"][name]), name
    whole_log = (tmp_path / "whole" / "log.csv").read_text(encoding="utf-8")
    assert log.read_text(encoding="utf-8") == whole_log


@pytest.mark.needs("torch")
def test_workers_make_the_same_batches(tiny):
    import torch

    recipe = small(tiny, batch_tokens=8192)
    alone, helped = tiny.chunks_from(0, recipe, 0), tiny.chunks_from(0, recipe, 2)
    for _ in range(3):
        for one, other in zip(next(alone), next(helped), strict=True):
            assert torch.equal(one.ids, other.ids) and torch.equal(one.places, other.places)
    helped.close()


@pytest.mark.needs("torch")
def test_a_smaller_model_starts_from_a_larger_one(tiny, tmp_path, monkeypatch):
    import torch

    from slm.export import write

    larger = tiny.Config(hidden_size=64, intermediate_size=64, num_hidden_layers=6)
    monkeypatch.setitem(tiny.CONFIGS, "larger", larger)
    weights = tiny.Llama(larger).state_dict()
    kept = tiny.shortened(weights, 4)
    tiny.Llama(tiny.CONFIGS["tiny"]).load_state_dict(kept)
    last = "self_attn.q_proj.weight"
    assert torch.equal(kept[f"model.layers.3.{last}"], weights[f"model.layers.5.{last}"])
    monkeypatch.setattr(tiny, "MODELS", tmp_path)
    with pytest.raises(FileNotFoundError, match="nothing to go on from"):
        tiny.train("tiny", small(tiny), start="larger")
    write(tmp_path / "larger", larger.as_dict(), {key: w.numpy() for key, w in weights.items()})
    recipe = small(tiny, finding_chunks=0, answers_chunks=0)
    path = tiny.train("tiny", recipe, start="larger", compiled=False, chunks=1)
    state = torch.load(path, weights_only=True)
    assert state["recipe"]["start"] == "larger" and state["state"]["chunk"] == 1


@pytest.mark.needs("torch")
def test_training_names_what_is_wrong(tiny):
    with pytest.raises(FileNotFoundError, match="nothing to go on from"):
        tiny.train("tiny", small(tiny), resume=True)
    with pytest.raises(ValueError, match="no model called 'gpt'; there is edge-slm"):
        tiny.train("gpt", small(tiny))


@pytest.mark.needs("torch")
def test_words_that_go_together_find_their_tool(learnt):
    from slm.associations import choices

    def score(words, vectors, weights):
        return weights[words].exp() @ vectors[words] / weights[words].exp().sum()

    right = []
    for request, lines, wanted in choices(60, seed=99):
        ours = score(request, learnt.asked, learnt.asked_weight)
        theirs = [ours @ score(line, learnt.offered, learnt.offered_weight) for line in lines]
        right.append(theirs.index(max(theirs)) == wanted)
    assert sum(right) / len(right) > 0.6  # by chance 0.31


@pytest.mark.needs("torch")
def test_a_fresh_network_copies_before_it_has_learnt_anything(learnt):
    import torch

    from slm.network import Config, Llama
    from slm.wiring import PLACES, wire

    once = torch.randint(5, 4096, (16, 60), generator=torch.Generator().manual_seed(1))
    first = torch.full((16, 1), text.load().token_to_id(text.START))

    def copied(network):
        with torch.no_grad():
            said = network(torch.cat([first, once, once], dim=1))[:, 61:-1].argmax(-1)
        return (said == once[:, 1:]).float().mean().item()

    torch.manual_seed(1)
    network = Llama(Config(num_hidden_layers=4))
    assert copied(network) < 0.01
    wire(network, learnt)
    # The heads that find are noise until they were guided.
    network.model.layers[PLACES].self_attn.o_proj.weight.data.zero_()
    assert copied(network) > 0.15
    with pytest.raises(ValueError, match="need 4 layers"):
        wire(Llama(Config(num_hidden_layers=3)), learnt)


def test_the_heads_are_guided_to_where_the_answer_stands():
    from random import Random

    from slm.corpus.conversation import call, user
    from slm.corpus.toolbook import TOOLS
    from slm.guidance import NAME, TOOL, VALUE, guides

    tokenizer = text.load()
    rendered = text.render(
        [
            user("No, not 12. Quote me 9 of X-12, please."),
            call("create_price_quote", product_sku="X-12", quantity=9),
        ],
        [TOOLS["store_hours"], TOOLS["create_price_quote"]],
    )
    encoding = tokenizer.encode(rendered)
    found, idle = {NAME: [], TOOL: [], VALUE: []}, []
    for kind, at, first, end in guides(rendered, encoding, Random(1)):
        if kind != NAME and (first, end) == (0, 1):
            idle.append((kind, at))
            continue
        found[kind].append(tokenizer.decode(encoding.ids[first:end]))
        if kind == VALUE:
            assert encoding.ids[at + 1] == encoding.ids[first]
        if kind == TOOL:
            assert tokenizer.decode(encoding.ids[at + 1 : at + 2]) == "create"
    assert set(found[NAME]) == {"store", "create"}
    (line,) = found[TOOL]
    assert line.startswith("create_price_quote(") and "store" not in line
    assert found[VALUE] == ["X", "9"]
    assert idle and all(at < len(encoding.ids) - 1 for _, at in idle)
    told = [choice[0] for choice in guides(rendered, encoding, Random(1), idle=False)]
    assert told.count(TOOL) == 1 and told.count(VALUE) == 2


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
