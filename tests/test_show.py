"""Plots and widgets: the live plot follows its sliders, the chat box keeps the conversation."""

import ipywidgets as widgets
import matplotlib
import matplotlib.pyplot as plt
import openai
import pytest

from helpers import show

matplotlib.use("agg")


def draw(slope):
    if slope == 5:
        raise ValueError("too steep")
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, slope])
    return figure, f"it rises by {slope} < 9"


def test_a_moved_slider_draws_anew():
    slider = widgets.IntSlider(value=1, max=5)
    box = show.live_plot(draw, slope=slider)
    image, readout = box.children[-2:]
    before = bytes(image.value)
    assert before.startswith(b"\x89PNG")
    slider.value = 4
    assert bytes(image.value) != before
    assert "it rises by 4 &lt; 9" in readout.value
    assert repr(box).endswith("it rises by 4 < 9")
    assert plt.get_fignums() == []


def test_an_error_in_the_drawing_is_raised_and_shown():
    slider = widgets.IntSlider(value=1, max=5)
    box = show.live_plot(draw, slope=slider)
    with pytest.raises(ValueError, match="too steep"):
        slider.value = 5
    assert "ValueError: too steep" in box.children[-1].value


def test_the_chat_box_answers_and_remembers(backend):
    box = show.chat(backend.openai(), backend.model, system="Answer briefly.")
    assert box.send("Hello!")
    line = box.children[1].children[0]
    line.value = "Who are you? <b>"  # as typing and Enter do
    assert [m["role"] for m in box.messages] == ["system"] + ["user", "assistant"] * 2
    assert line.value == ""
    page = box.children[0].value
    assert "Who are you? &lt;b&gt;" in page
    assert "Answer briefly." not in page


def test_a_failed_answer_is_shown_raised_and_not_kept(backend):
    with openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="none", max_retries=0) as nobody:
        box = show.chat(nobody, backend.model)
        with pytest.raises(openai.APIConnectionError):
            box.send("Hello?")
    assert box.messages == []
    assert "APIConnectionError" in box.children[0].value


def test_a_long_chat_stays_within_the_models_context(backend):
    box = show.chat(backend.openai(), backend.model, system="Answer briefly.")
    box.messages += [{"role": "user", "content": "Hello! " * 100}] * 60
    assert box.send("Hello!")
