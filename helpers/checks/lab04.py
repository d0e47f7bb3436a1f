"""Checks of lab 04, a recommender that notices change: small cases by hand, then unseen pages."""

import numpy as np

from helpers.worlds.recommender import FrontPage, History

SEEDS = range(4401, 4409)  # front pages the notebook does not show
CHANGE, VISITS = 1500, 3000
AFTER, WORST, CALM = 115, 200, 110  # clicks an agent may miss: after a change, … on any page, …
DISCOUNTED = 165  # … and with discounting, after a change


def check_track(track) -> None:
    """`track(rewards, step, start)` is the list of estimates, one after each reward."""
    got = track([1, 1, 0], 0.5)
    assert got is not None, "track returned None. Does it end with `return`?"
    assert np.ndim(got) == 1, (
        f"track returned {got!r}; wanted a list with the estimate after each reward. Append inside "
        "the loop"
    )
    assert len(got) == 3, (
        f"three rewards gave {len(got)} estimates. Append once a reward, after the estimate moved"
    )
    assert not np.allclose(got, [1, 1, 2 / 3]), (
        "that is the plain average, in which the first reward weighs like the last. Move by the "
        "constant `step`, not by one over the number of rewards"
    )
    assert np.allclose(got, [0.5, 0.75, 0.375]), (
        f"track([1, 1, 0], 0.5) gave {_numbers(got)}, wanted [0.5, 0.75, 0.375]. After each "
        "reward: estimate += step * (reward - estimate)"
    )
    got = track([0, 0], 0.1, start=1.0)
    assert np.allclose(got, [0.9, 0.81]), (
        f"track([0, 0], 0.1, start=1.0) gave {_numbers(got)}, wanted [0.9, 0.81]. Use the "
        "arguments `step` and `start`, not fixed numbers"
    )
    rng = np.random.default_rng(4401)
    late = [track(rng.random(2000) < np.repeat([0.3, 0.1], 1000), 0.02)[-1] for _ in range(50)]
    assert abs(np.mean(late) - 0.1) < 0.02  # a check of the check: it has forgotten
    print("ok: right by hand; after a fall from 30 % to 10 % it forgot the past on 50 streams")


def check_recovery(recovery) -> None:
    """`recovery(history, change, window, close)` counts visits after the change, or is None."""
    never = _made([0.2] * 50 + [0.0, 0.2] * 50)
    got = recovery(never, 50, 10, 0.05)
    assert got is None, (
        f"{got} for an agent that misses 0.2 at every other visit until the end, 0.1 on average; "
        "wanted None. One good visit is no recovery: look at the mean of the whole window"
    )
    quick = _made([0.0] * 50 + [0.2] * 30 + [0.0] * 70)
    got = recovery(quick, 50, 10, 0.05)
    assert got is not None, (
        "recovery returned None for an agent that misses nothing from 30 visits after the change "
        "on. Does it return the number when it has found it?"
    )
    assert got != 88, (
        "88 counts from the first visit of all. Wanted are visits after the change: cut the array "
        "at `change` first"
    )
    assert got > 30, (
        f"{got} visits, although all 30 visits after the change missed 0.2. Only visits after the "
        "change count: no window may begin before it"
    )
    assert got == 38, (
        f"{got} visits, wanted 38: of the last 10 two still miss 0.2, on average 0.04, and that is "
        "less than 0.05. Compare the mean of the window with `close`, and count to its end"
    )
    at_end = _made([0.0] * 20 + [0.2] * 20 + [0.0] * 20)
    assert recovery(at_end, 20, 20, 0.05) == 36, "window=20: use the arguments, not fixed numbers"
    assert recovery(at_end, 20, 20, 1e-6) == 40, (
        "the very last window counts too: let n run to len(missed) inclusive"
    )
    print("ok: counted rightly for agents that recover soon, at the end, and never")


def check_discounted(Discounted) -> None:
    """`Discounted(seed, gamma)` fades all its counts at every visit, then counts the new one."""
    agent = Discounted(0, gamma=0.5)
    for topic, clicked in ((0, True), (0, False), (1, True)):
        agent.learn({"visitor": "commuter"}, topic, clicked)
    shown, clicks = agent.shown[:2].tolist(), agent.clicks[:2].tolist()
    said = (
        "with gamma=0.5, topic 0 shown twice (a click, no click) and then topic 1 once (a click): "
        f"shown is {shown}, wanted [0.75, 1.0]; clicks is {clicks}, wanted [0.25, 1.0]. "
    )
    assert shown != [2.0, 1.0], said + "Nothing fades: multiply by self.gamma"
    assert shown != [1.5, 1.0], said + (
        "Only the topic that was shown fades. Multiply the whole arrays, self.shown *= self.gamma"
    )
    assert shown != [0.375, 0.5], said + "Fade first, and count the new visit after that"
    assert (shown, clicks) == ([0.75, 1.0], [0.25, 1.0]), said + "Fade shown and clicks alike"
    after, _ = _missed(Discounted, SEEDS, changed=True)
    assert after.mean() < DISCOUNTED, (
        f"{after.mean():.0f} clicks missed after the change on unseen pages, wanted less than "
        f"{DISCOUNTED}. Does `choose` still draw from the faded counts, and is gamma's default "
        "0.998?"
    )
    print(f"ok: {after.mean():.0f} clicks missed after the change, on {len(SEEDS)} unseen pages")


def check_alarm(DropAlarm) -> None:
    """`DropAlarm.update(expected, clicked)` is a CUSUM: late enough, soon enough, reset at 0."""
    alarm = DropAlarm(slack=0.1, threshold=1.9)
    sounds = [alarm.update(0.3, False) for _ in range(12)]
    assert None not in sounds, "update returned None. Does it end with `return`?"
    assert sounds.count(True), (
        "twelve visits without a click at an expected rate of 0.3 and no alarm at threshold 1.9, "
        "although each adds 0.3 - 0.1 = 0.2. Look at the signs: what was expected is added, what "
        "was clicked is taken off"
    )
    first = sounds.index(True) + 1
    assert first == 10, (
        f"alarm after {first} visits without a click, wanted after 10: each adds expected - slack "
        "= 0.3 - 0.1 to the sum, and 10 * 0.2 is the first above 1.9"
    )
    alarm = DropAlarm(slack=0.1, threshold=1.9)
    for _ in range(100):
        assert not alarm.update(0.3, True), (
            "an alarm while every visit is a click. It is to sound when clicks stay away: a click "
            "lowers the sum"
        )
    sounds = [alarm.update(0.3, False) for _ in range(12)]
    assert any(sounds), (
        "after 100 clicks the alarm sleeps through 12 visits without one: its sum has gone far "
        "below 0. Keep it from falling below 0 with max(0.0, …)"
    )
    false, delays = 0, []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        false += True in _sounds(DropAlarm(), rng.random(2000) < 0.3)
        sounds = _sounds(DropAlarm(), rng.random(500) < 0.05)
        delays.append(sounds.index(True) + 1 if True in sounds else 500)
    assert false <= 2, (
        f"a false alarm in {false} of {len(SEEDS)} streams in which nothing changes. Take `slack` "
        "off at every visit; it pulls the sum back to 0"
    )
    assert max(delays) < 150, (
        f"a fall from 30 % to 5 % was noticed after {max(delays)} visits only. Use the arguments "
        "slack and threshold as they are given"
    )
    print(
        f"ok: {false} false alarms in {2000 * len(SEEDS):,} calm visits; "
        f"a fall is noticed after {min(delays)} to {max(delays)} visits"
    )


def check_watchful(Watchful) -> None:
    """`Watchful(seed)` forgets all at an alarm; it recovers, and is cheap when all is calm."""
    agent, percept = Watchful(0), {"visitor": "commuter"}
    for i in range(200):
        agent.learn(percept, 0, i % 2 == 0)
    for i in range(50):
        agent.learn(percept, 1, i % 5 == 0)
    assert agent.shown.sum() == 250, (
        f"after 250 visits in which nothing changed the agent has counted {agent.shown.sum():g}. "
        "Count every visit, with super().learn(…), and forget only when the alarm sounds"
    )
    for _ in range(40):
        agent.learn(percept, 0, False)
        if agent.shown.sum() < 250:
            break
    assert agent.shown.sum() < 250, (
        "a topic with a click rate of 50 % was not clicked on 40 times, and nothing was forgotten. "
        "Tell the topic's alarm, self.alarms[topic].update(rate, clicked), with the rate from "
        "*before* this visit, and call self.forget() when it returns True"
    )
    assert agent.shown[1] == 0, (
        "when topic 0 fell the agent forgot that topic but not the others. Tastes changed: forget "
        "everything, with self.forget()"
    )
    for _ in range(3):
        agent.learn(percept, 0, False)
    assert agent.shown[0] >= 3, (
        "visits just after an alarm are forgotten, too: the old alarm goes on sounding. Call "
        "self.forget(), which makes new alarms as well"
    )
    calm, _ = _missed(Watchful, SEEDS, changed=False)
    assert calm.mean() < CALM, (
        f"when nothing changes the agent misses {calm.mean():.0f} clicks on unseen pages, wanted "
        f"less than {CALM}: it forgets without a reason. Is the alarm told the topic's own rate, "
        "and are its slack and threshold as given?"
    )
    after, page = _missed(Watchful, SEEDS, changed=True)
    assert after.mean() < AFTER and after.max() < WORST, (
        f"after the change the agent misses {after.mean():.0f} clicks on unseen pages, wanted less "
        f"than {AFTER}, and {after.max():.0f} on the worst (seed {page}), wanted less than "
        f"{WORST}: it notices too late, or goes on forgetting"
    )
    print(
        f"ok: on {len(SEEDS)} unseen pages {after.mean():.0f} clicks missed after a change (worst "
        f"{after.max():.0f}), {calm.mean():.0f} in {VISITS} visits when nothing changes"
    )


# ---- what the checks share


def _sounds(alarm, clicks):
    return [alarm.update(0.3, clicked) for clicked in clicks.tolist()]


def _missed(make, seeds, changed):
    """Clicks missed, one entry a page: after the change, or in all; and the worst page's seed."""
    missed = []
    for seed in seeds:
        page = FrontPage(seed, changes_at=(CHANGE,) if changed else ())
        try:
            regret = page.run(make(seed), VISITS).regret()
        except ValueError as error:
            raise AssertionError(f"{error}. `choose` is inherited: no need to change it") from error
        missed.append(regret[-1] - (regret[CHANGE - 1] if changed else 0))
    return np.array(missed), seeds[int(np.argmax(missed))]


def _made(missed):
    """A history made by hand that misses so much at each visit; what was clicked says nothing."""
    missed = np.array(missed)
    clicked = np.ones(missed.size, dtype=bool)
    return History(np.zeros(missed.size, dtype=int), clicked, 0.5 - missed, clicked * 0.5)


def _numbers(values):
    return [round(float(value), 3) for value in values]
