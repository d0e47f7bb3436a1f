"""Typical wrong answers to lab 04. Of a case, the last entry is a word of the message to expect;
the others are the arguments of the check, the learner's answer first."""

import numpy as np

from helpers.worlds.recommender import TOPICS


def track_average(rewards, step, start=0.0):
    return [sum(rewards[: n + 1]) / (n + 1) for n in range(len(rewards))]


def track_last_only(rewards, step, start=0.0):
    for reward in rewards:
        start += step * (reward - start)
    return start


def track_with_start(rewards, step, start=0.0):
    estimates = [start]
    for reward in rewards:
        estimates.append(estimates[-1] + step * (reward - estimates[-1]))
    return estimates


def track_adds(rewards, step, start=0.0):
    return (start + step * np.cumsum(rewards)).tolist()


def track_fixed_start(rewards, step, start=0.0):
    return track_with_start(rewards, step, 0.0)[1:]


def track_no_return(rewards, step, start=0.0):
    track_with_start(rewards, step, start)


def _windows(missed, window, first):
    return ((n, missed[max(0, n - window) : n].mean()) for n in range(first, len(missed) + 1))


def recovery_from_start(history, change, window=100, close=0.05):
    missed = history.best - history.chance
    found = _windows(missed, window, change + window)
    return next((n for n, mean in found if mean < close), None)


def recovery_window_before(history, change, window=100, close=0.05):
    missed = history.best - history.chance
    found = _windows(missed, window, change + 1)
    return next((n - change for n, mean in found if mean < close), None)


def recovery_one_visit(history, change, window=100, close=0.05):
    missed = (history.best - history.chance)[change:]
    return next((n + 1 for n, one in enumerate(missed) if one < close), None)


def recovery_fixed_window(history, change, window=100, close=0.05):
    missed = (history.best - history.chance)[change:]
    return next((n for n, mean in _windows(missed, 10, 10) if mean < close), None)


def recovery_no_last(history, change, window=100, close=0.05):
    missed = (history.best - history.chance)[change:-1]
    return next((n for n, mean in _windows(missed, window, window) if mean < close), None)


def recovery_no_return(history, change, window=100, close=0.05):
    recovery_one_visit(history, change, window, close)


class Thompson:
    def __init__(self, seed, gamma=0.998):
        self.rng, self.gamma = np.random.default_rng(seed), gamma
        self.shown, self.clicks = np.zeros(len(TOPICS)), np.zeros(len(TOPICS))

    def choose(self, percept):
        return int(self.rng.beta(1 + self.clicks, 1 + self.shown - self.clicks).argmax())

    def learn(self, percept, topic, clicked):
        self.shown[topic] += 1
        self.clicks[topic] += clicked


class DiscountedShownOnly(Thompson):
    def learn(self, percept, topic, clicked):
        self.shown[topic] *= self.gamma
        self.clicks[topic] *= self.gamma
        super().learn(percept, topic, clicked)


class DiscountedAfter(Thompson):
    def learn(self, percept, topic, clicked):
        super().learn(percept, topic, clicked)
        self.shown *= self.gamma
        self.clicks *= self.gamma


class DiscountedClicksKept(Thompson):
    def learn(self, percept, topic, clicked):
        self.shown *= self.gamma
        super().learn(percept, topic, clicked)


class DiscountedTooSlowly(Thompson):
    def __init__(self, seed, gamma=0.99999):
        super().__init__(seed, gamma)

    def learn(self, percept, topic, clicked):
        self.shown *= self.gamma
        self.clicks *= self.gamma
        super().learn(percept, topic, clicked)


class DropAlarm:
    def __init__(self, slack=0.1, threshold=8.0):
        self.slack, self.threshold, self.sum = slack, threshold, 0.0

    def update(self, expected, clicked):
        self.sum = max(0.0, self.sum + expected - self.slack - clicked)
        return self.sum > self.threshold


class AlarmNotCut(DropAlarm):
    def update(self, expected, clicked):
        self.sum += expected - self.slack - clicked
        return self.sum > self.threshold


class AlarmReversed(DropAlarm):
    def update(self, expected, clicked):
        self.sum = max(0.0, self.sum + clicked - expected - self.slack)
        return self.sum > self.threshold


class AlarmNoSlack(DropAlarm):
    def update(self, expected, clicked):
        self.sum = max(0.0, self.sum + expected - clicked)
        return self.sum > self.threshold


class AlarmNoReturn(DropAlarm):
    def update(self, expected, clicked):
        super().update(expected, clicked)


class AlarmAtMisses(DropAlarm):
    def update(self, expected, clicked):
        self.sum += 0 if clicked else expected - self.slack
        return self.sum > self.threshold


class Watchful(Thompson):
    threshold = 8.0

    def __init__(self, seed):
        super().__init__(seed)
        self.forget()

    def forget(self):
        self.shown, self.clicks = np.zeros(len(TOPICS)), np.zeros(len(TOPICS))
        self.alarms = [DropAlarm(threshold=self.threshold) for _ in TOPICS]

    def learn(self, percept, topic, clicked):
        rate = self.clicks[topic] / max(1, self.shown[topic])
        super().learn(percept, topic, clicked)
        if self.alarms[topic].update(rate, clicked):
            self.forget()


class WatchfulAtEvenOdds(Watchful):
    def learn(self, percept, topic, clicked):
        Thompson.learn(self, percept, topic, clicked)
        if self.alarms[topic].update(0.5, clicked):
            self.forget()


class WatchfulOneTopic(Watchful):
    def learn(self, percept, topic, clicked):
        rate = self.clicks[topic] / max(1, self.shown[topic])
        Thompson.learn(self, percept, topic, clicked)
        if self.alarms[topic].update(rate, clicked):
            self.shown[topic] = self.clicks[topic] = self.alarms[topic].sum = 0


class WatchfulKeepsAlarms(Watchful):
    def learn(self, percept, topic, clicked):
        rate = self.clicks[topic] / max(1, self.shown[topic])
        Thompson.learn(self, percept, topic, clicked)
        if self.alarms[topic].update(rate, clicked):
            self.shown, self.clicks = np.zeros(len(TOPICS)), np.zeros(len(TOPICS))


class WatchfulDoesNotCount(Watchful):
    def learn(self, percept, topic, clicked):
        rate = self.clicks[topic] / max(1, self.shown[topic])
        if self.alarms[topic].update(rate, clicked):
            self.forget()


class WatchfulOnSchedule(Watchful):
    visits = 0

    def learn(self, percept, topic, clicked):
        super().learn(percept, topic, clicked)
        self.visits += 1
        if self.visits % 300 == 0:
            self.forget()


WRONG = {
    "check_track": [
        (track_average, "plain average"),
        (track_last_only, "Append inside"),
        (track_with_start, "after the estimate moved"),
        (track_adds, "reward - estimate"),
        (track_fixed_start, "`start`"),
        (track_no_return, "return"),
    ],
    "check_recovery": [
        (recovery_from_start, "from the first visit"),
        (recovery_window_before, "begin before"),
        (recovery_one_visit, "no recovery"),
        (recovery_fixed_window, "window=20"),
        (recovery_no_last, "inclusive"),
        (recovery_no_return, "None"),
    ],
    "check_discounted": [
        (Thompson, "Nothing fades"),
        (DiscountedShownOnly, "Only the topic"),
        (DiscountedAfter, "Fade first"),
        (DiscountedClicksKept, "alike"),
        (DiscountedTooSlowly, "0.998"),
    ],
    "check_alarm": [
        (AlarmNotCut, "max(0.0"),
        (AlarmReversed, "signs"),
        (AlarmNoSlack, "expected - slack"),
        (AlarmNoReturn, "return"),
        (AlarmAtMisses, "sum back to 0"),
    ],
    "check_watchful": [
        (Thompson, "nothing was forgotten"),
        (WatchfulAtEvenOdds, "forget only when"),
        (WatchfulOneTopic, "forget everything"),
        (WatchfulKeepsAlarms, "goes on sounding"),
        (WatchfulDoesNotCount, "Count every visit"),
        (WatchfulOnSchedule, "without a reason"),
    ],
}
