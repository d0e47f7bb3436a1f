"""A real JupyterLab in a real Chromium: lessons run, their sliders move, their plots change."""

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.conftest import ROOT, chromium, free_port, needs_of, skip_without

# Nothing of Chromium's own may want the network, nor a sandbox that root does not get.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 90_000  # ms: a busy machine is slow
LONG = 420_000  # ms, until the widget of lesson 08 is there

# Lesson, what the line under its plot says at first, how often the first slider goes a step to the
# right, what it says then.
WIDGETS = [
    ("01_reflex_agents", "set-point 21.0 °C, dead band 1.0 K", 3, "set-point 22.5 °C"),
    ("02_model_based_agents", "step 300: with a coin", 4, "step 400: with a coin"),
    ("03_goal_based_agents", "weight 1.00: 79.3 min", 4, "weight 2.00:"),
    ("04_learning_agents", "epsilon 0.10, 2000 visits", 5, "epsilon 0.15, 2000 visits"),
    ("06_what_an_slm_is", "temperature 1.0, top-p 1.00", 5, "temperature 1.5, top-p 1.00"),
    ("08_quantization", "3.5 MB: ", 10, "4.5 MB: "),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab of its own over a copy of the lessons, with its token."""
    tmp_path = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    port = free_port()
    token = secrets.token_hex(8)
    settings = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    environment = os.environ | {name: str(tmp_path / place) for name, place in settings.items()}
    # Ask for no news and no updates: their pop-up would lie over the page.
    news = "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    (tmp_path / news).parent.mkdir(parents=True)
    (tmp_path / news).write_text(
        '{"fetchNews": "false", "checkForUpdates": false}', encoding="utf-8"
    )
    options = [
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={tmp_path}",
    ]
    log = (tmp_path / "lab.log").open("w", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options], stdout=log, stderr=log, env=environment
    )
    try:
        wait_until_up(process, f"http://127.0.0.1:{port}/api?token={token}", tmp_path / "lab.log")
        yield f"http://127.0.0.1:{port}", token
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def wait_until_up(process, url, log):
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not come up:\n{log.read_text(encoding='utf-8')}")


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(
    ("lesson", "first", "steps", "then"), WIDGETS, ids=[one[0][:2] for one in WIDGETS]
)
def test_a_lesson_runs_and_its_slider_redraws_the_plot(lab, tmp_path, lesson, first, steps, then):
    from playwright.sync_api import expect, sync_playwright

    skip_without(needs_of(ROOT / "notebooks" / f"{lesson}.ipynb"))
    address, token = lab
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE)
        broken = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.goto(f"{address}/doc/tree/notebooks/{lesson}.ipynb?reset&token={token}")
        page.locator(".jp-Notebook").first.wait_for()
        # The toolbar's circle says idle for a moment before there is a session: ask the status.
        status = page.locator("#jp-main-statusbar, #jp-bottom-panel")
        status.get_by_text(re.compile(r"\| Idle")).wait_for()
        page.locator('.lm-MenuBar-item:has-text("Run")').click()
        page.locator('.lm-Menu-item[data-command="runmenu:run-all"]').click()

        # The widgets are there once their cell has run; JupyterLab shows them when in view.
        readout = page.locator(".readout")
        readout.wait_for(state="attached", timeout=LONG)
        readout.scroll_into_view_if_needed()
        expect(readout).to_contain_text(first)
        image = page.locator(".jupyter-widgets.widget-image")
        before = image.get_attribute("src")
        handle = page.locator(".widget-slider .noUi-handle").first
        handle.focus()
        for _ in range(steps):
            handle.press("ArrowRight")
        expect(readout).to_contain_text(then)
        expect(image).not_to_have_attribute("src", before)
        page.screenshot(path=tmp_path / f"{lesson}.png")

        status.get_by_text(re.compile(r"\| Idle")).wait_for()
        error = page.locator("[data-mime-type='application/vnd.jupyter.error']")
        assert error.count() == 0
        assert broken == []
        browser.close()
