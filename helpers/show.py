"""The few plots and widgets several lessons share.

>>> import matplotlib.pyplot as plt
>>> style()
>>> plt.rcParams["axes.grid"]
True
"""

import functools
import html
import io
from collections.abc import Callable

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle

BLUE, ORANGE, GREY = "#1f5a8a", "#d9762b", "#8a8f98"
GREEN, PURPLE = "#3d8b5f", "#7d4f94"  # where three do not suffice


def style() -> None:
    """The look of the course's plots; call it once, in a notebook's first cell."""
    plt.rcParams.update(
        {
            "figure.figsize": (8, 3.6),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREY]),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": GREY,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.titlelocation": "left",
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "grid.color": "#e4e6ea",
            "grid.linewidth": 0.8,
            "lines.linewidth": 1.6,
            "legend.frameon": False,
            "legend.fontsize": 9,
        }
    )


def climate(history, title: str = "") -> Figure:
    """Plot a `helpers.worlds.thermostat.History`: temperatures above, when things were on below."""
    hours = history.time_h
    actuators = {"heater on": (history.heating, ORANGE)}
    if history.vent.any():
        actuators["vent open"] = (history.vent, BLUE)
    rows = len(actuators)
    figure, (top, strip) = plt.subplots(
        2, 1, sharex=True, height_ratios=[6, rows], figsize=(8, 3.4 + 0.4 * rows)
    )
    top.axhspan(*history.comfort_c, color=GREY, alpha=0.15, lw=0, label="comfort band")
    top.plot(hours, history.temperature, label="inside")
    top.plot(hours, history.outside, color=GREY, lw=1.2, label="outside")
    top.set(ylabel="temperature (°C)", title=title)
    top.yaxis.set_major_locator(plt.MultipleLocator(5))
    top.legend(loc="lower left", bbox_to_anchor=(0, 1.0) if not title else (0.5, 1.0), ncols=3)
    for row, (on, colour) in enumerate(actuators.values()):
        # Not where=on: that leaves out what is on for a single step.
        bottom = row + 0.85
        strip.fill_between(hours, bottom, bottom - 0.7 * on, step="post", color=colour, lw=0)
    strip.set(ylim=(rows, 0), xlabel="time (hours since Monday 0:00)")
    strip.set_yticks([row + 0.5 for row in range(rows)], labels=list(actuators))
    strip.tick_params(axis="y", length=0)
    strip.grid(visible=False, axis="y")
    strip.set_xlim(hours[0], hours[-1])
    step = next(s for s in (1, 2, 3, 6, 12, 24) if (hours[-1] - hours[0]) / s <= 14)
    strip.xaxis.set_major_locator(plt.MultipleLocator(step))
    return figure


def flat(axes: Axes, run, title: str = "") -> None:
    """Draw a `helpers.worlds.vacuum.Run` as it ended: the flat, its dirt, the robot and its way."""
    plan = run.flat.plan
    picture = np.full((*plan.size, 3), to_rgb("#4a4f57"))  # walls
    picture[*zip(*plan.floor, strict=True)] = to_rgb("#ffffff")
    for piece in plan.furniture:
        picture[*zip(*piece, strict=True)] = to_rgb("#c9b79f")
        low, high = np.min(list(piece), axis=0) - 0.5, np.max(list(piece), axis=0) + 0.5
        axes.add_patch(Rectangle(low, *(high - low), fill=False, ec="#8d7a63", lw=0.8))
    _grid(axes, picture, title)
    behind = {"boxstyle": "round,pad=0.15", "fc": "white", "lw": 0, "alpha": 0.8}
    for name, (x, y) in plan.rooms.items():
        axes.text(x, y, name, ha="center", va="center", fontsize=7, bbox=behind, zorder=1)
    if run.dirt:
        axes.scatter(*zip(*run.dirt, strict=True), s=5, color=ORANGE, lw=0)
    axes.plot(*zip(*run.path, strict=True), color=BLUE, lw=1, alpha=0.35)
    axes.plot(*plan.dock, "s", ms=7, mfc="none", mec="black")
    axes.plot(*run.path[-1], "o", ms=7, color=BLUE)


def known_map(axes: Axes, known: dict, position: tuple[int, int], run, title: str = "") -> None:
    """Draw an agent's map in the frame of the flat it lives in.

    known: {(x, y): "visited", "free" or "wall"}, and position: where it thinks it is, both counted
    from the dock.
    """
    colours = {"visited": "#cfe0ee", "free": "#ffffff", "wall": "#4a4f57"}
    (width, height), (x0, y0) = run.flat.plan.size, run.flat.plan.dock
    picture = np.full((width, height, 3), to_rgb("#dcdee2"))  # what it knows nothing of
    for (x, y), what in known.items():
        if 0 <= x0 + x < width and 0 <= y0 + y < height:  # a lost agent's map may leave the frame
            picture[x0 + x, y0 + y] = to_rgb(colours[what])
    _grid(axes, picture, title)
    axes.plot(x0, y0, "s", ms=7, mfc="none", mec="black")
    axes.plot(x0 + position[0], y0 + position[1], "o", ms=7, color=BLUE, clip_on=False)


def _grid(axes: Axes, picture: np.ndarray, title: str) -> None:
    axes.imshow(picture.transpose(1, 0, 2), origin="lower", interpolation="nearest")
    axes.set(title=title, xticks=[], yticks=[], autoscale_on=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def roads(country, expanded=(), route=(), title: str = "", axes=None) -> Figure:
    """Draw a `helpers.worlds.routes.Country`; places a search expanded as dots, a route as a line.

    expanded: names of places. route: names of the places along it, in order; then only the towns
    on it are named. axes: draw into these.
    """
    axes = axes or plt.subplots(figsize=(8, 5.2))[1]
    xy = country.xy
    # Without antialiasing a picture of that many short lines takes half the room in a notebook.
    _lines(axes, country, "country road", color="#e2e5e9", lw=0.6, antialiased=False)
    _lines(axes, country, "main road", color=GREY, lw=1.2)
    _lines(axes, country, "motorway", color="#4a4f57", lw=2.0)
    for x, y, width, height in country.lakes:
        axes.add_patch(Ellipse((x, y), width, height, color="#dbe9f2", lw=0))
    if expanded:
        axes.scatter(*zip(*map(xy.get, expanded), strict=True), s=5, color=ORANGE, zorder=3)
    if route:
        axes.plot(*zip(*map(xy.get, route), strict=True), color=BLUE, lw=2.6, zorder=4)
    halo = [patheffects.withStroke(linewidth=2.5, foreground="white")]
    for town in country.towns:
        (x, y), on_route = xy[town], town in route
        axes.plot(x, y, "o", ms=5 if on_route else 3.5, color="black", zorder=5)
        if on_route or not route:
            side = "right" if x > 100 else "left"  # names stay on the map
            x += 1.5 if side == "left" else -1.5
            axes.text(x, y + 1, town, ha=side, fontsize=8, path_effects=halo, zorder=6)
    axes.set(xlim=(-2, 122), ylim=(-2, 82), aspect="equal", title=title, xlabel="km", ylabel="km")
    axes.grid(visible=False)
    return axes.figure


def _lines(axes, country, kind, **look):
    xy = country.xy
    ends = [
        (xy[place], xy[road.to])
        for place in xy
        for road in country.roads_from(place)
        if road.kind == kind and place < road.to  # each road once, not also the way back
    ]
    axes.add_collection(LineCollection(ends, **look))


def spread(runs: dict[str, np.ndarray], xlabel: str, ylabel: str, title: str = "") -> Figure:
    """Plot curves over many runs: a line for the mean, a band for eight runs of ten.

    runs: from a name to an array of shape (runs, steps); at most five names.

    >>> figure = spread({"coin": np.random.default_rng(1).random((20, 9))}, "toss", "heads")
    >>> plt.close(figure)
    """
    figure, axes = plt.subplots()
    colours = (BLUE, ORANGE, GREY, GREEN, PURPLE)[: len(runs)]
    for (name, values), colour in zip(runs.items(), colours, strict=True):
        low, high = np.percentile(values, [10, 90], axis=0)
        steps = np.arange(1, values.shape[1] + 1)
        axes.fill_between(steps, low, high, color=colour, alpha=0.15, lw=0)
        axes.plot(steps, values.mean(axis=0), color=colour, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.set_xlim(0, steps[-1])
    axes.legend(loc="upper left")
    return figure


class _Live(widgets.VBox):
    def __repr__(self):
        # What a reader without a kernel sees, and what nbval compares: the text, no PNG bytes.
        return f"[live: run this cell] {self.children[-1].text}"


class _Readout(widgets.HTML):
    text = ""

    def say(self, text: str) -> None:
        self.text, self.value = text, f"<span class='readout'>{html.escape(text)}</span>"


def live_plot(draw: Callable[..., tuple[Figure, str]], **sliders: widgets.Widget) -> widgets.VBox:
    """A plot that is drawn again whenever a slider has been moved.

    `draw(**values)` gets the sliders' values under the names given here and returns a matplotlib
    figure and one line of text that says in words and numbers what the figure shows. The line
    stands under the plot. An error in `draw` is raised, and named in place of that line.

    >>> import ipywidgets as widgets
    >>> def draw(slope):
    ...     figure, axes = plt.subplots()
    ...     axes.plot([0, 1], [0, slope])
    ...     return figure, f"it rises by {slope}"
    >>> live_plot(draw, slope=widgets.IntSlider(value=2, max=5))
    [live: run this cell] it rises by 2
    """
    image, readout = widgets.Image(format="png"), _Readout()
    image.layout.max_width = "100%"

    def redraw(_change=None):
        try:
            figure, text = draw(**{name: slider.value for name, slider in sliders.items()})
        except Exception as error:
            image.value = b""
            readout.say(f"{type(error).__name__}: {error}")
            raise
        png = io.BytesIO()
        figure.savefig(png, format="png")
        plt.close(figure)
        image.value = png.getvalue()
        readout.say(text)

    for slider in sliders.values():
        slider.continuous_update = False  # a drawing takes 0.1 s: wait for the release
        slider.observe(redraw, names="value")
    redraw()
    return _Live([*sliders.values(), image, readout])


def chat(client, model: str, system: str = "", **options) -> widgets.VBox:
    """A chat box: a line to type into, the conversation above it, streamed token by token.

    client: an OpenAI client. options: passed on with each request. The box has `send(text)`, which
    does what typing and Enter do, and `messages`, the conversation so far.
    """
    return _Chat(client, model, system, {"temperature": 0, "max_tokens": 200, **options})


RECENT = 3000  # characters of a conversation that are read again: about 1,000 tokens


class _Chat(widgets.VBox):
    def __init__(self, client, model, system, options):
        self._ask = functools.partial(client.chat.completions.create, model=model, **options)
        self.messages = [{"role": "system", "content": system}] if system else []
        self._page = widgets.HTML()
        self._line = widgets.Text(placeholder="Say something, then Enter", continuous_update=False)
        button = widgets.Button(description="Send")
        self._line.observe(lambda change: change["new"] and self.send(change["new"]), names="value")
        button.on_click(lambda _: self._line.value and self.send(self._line.value))
        super().__init__([self._page, widgets.HBox([self._line, button])])

    def send(self, text: str) -> str:
        """Say `text`, show the answer while it comes, and return it."""
        self._line.value = ""
        self.messages.append({"role": "user", "content": text})
        said = ""
        try:
            for chunk in self._ask(messages=self._recent(), stream=True):
                said += (chunk.choices and chunk.choices[0].delta.content) or ""
                self._show(said)
        except BaseException as error:  # also a kernel's interrupt
            self.messages.pop()  # so that the next try begins where this one did
            self._show(f"{type(error).__name__}: {error}")
            raise
        self.messages.append({"role": "assistant", "content": said})
        self._show()
        return said

    def _recent(self) -> list[dict]:
        """What the model reads: the system text and the last turns, for its context is short."""
        head = [message for message in self.messages[:1] if message["role"] == "system"]
        turns, room = [], RECENT
        for message in reversed(self.messages[len(head) :]):
            room -= len(message["content"])
            if turns and room < 0:
                break
            turns.insert(0, message)
        return head + turns

    def _show(self, coming: str = "") -> None:
        turns = [(m["role"], m["content"]) for m in self.messages if m["role"] != "system"]
        if coming:
            turns.append(("assistant", coming))
        self._page.value = "".join(
            f"<p class='{role}' style='margin:4px 0;color:{GREY if role == 'user' else 'inherit'}'>"
            f"<b>{'you' if role == 'user' else 'model'}</b> {html.escape(text)}</p>"
            for role, text in turns
        )

    def __repr__(self) -> str:
        return "[a chat box: run this cell to use it]"
