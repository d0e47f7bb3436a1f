"""The worlds of lesson 04: seeded, the same for every agent, and changed when they should be."""

import numpy as np
import pytest

from helpers.worlds.recommender import TOPICS, TRIP, FrontPage, Traveller


class Always:
    def __init__(self, topic):
        self.topic, self.kinds, self.clicks = topic, set(), 0

    def choose(self, percept):
        self.kinds.add(percept["visitor"])
        return self.topic

    def learn(self, percept, topic, clicked):
        assert topic == self.topic
        self.clicks += clicked


def test_clicks_come_as_often_as_the_chances_say():
    page = FrontPage(seed=3)
    for topic, chance in enumerate(page.chances[0, 0]):
        agent = Always(topic)
        history = page.run(agent, visits=5000)
        assert history.clicked.sum() == agent.clicks == pytest.approx(5000 * chance, rel=0.25)
        assert history.regret()[-1] == pytest.approx(5000 * (page.chances.max() - chance))


def test_a_page_depends_on_its_seed_alone():
    assert (FrontPage(5, visitors=4).chances == FrontPage(5, visitors=4).chances).all()
    assert (FrontPage(5).chances != FrontPage(6).chances).any()
    one, other = (FrontPage(5).run(Always(2), 200) for _ in range(2))
    assert (one.clicked == other.clicked).all()


@pytest.mark.parametrize("seed", range(20))
def test_a_change_puts_the_favourite_out_of_fashion(seed):
    page = FrontPage(seed, visitors=2, changes_at=(100, 200))
    assert page.chances.shape == (3, 2, len(TOPICS))
    for before, after in zip(page.chances[:-1], page.chances[1:], strict=True):
        for old, new in zip(before, after, strict=True):
            assert new[old.argmax()] < np.median(new)
    lead = np.sort(page.chances)[..., -1] - np.sort(page.chances)[..., -2]
    assert lead.min() >= 0.04
    agent = Always(0)
    best = page.run(agent, 300).best
    assert len(agent.kinds) == 2
    for phase in range(3):
        ranks = page.chances[phase].max(axis=1)
        assert set(best[100 * phase : 100 * (phase + 1)]) == set(ranks)


def test_a_wrong_choice_is_named():
    with pytest.raises(ValueError, match="the agent chose 'sport'; wanted 0 to 7"):
        FrontPage(1).run(Always("sport"), 1)


def test_a_traveller_takes_what_they_like_more_often_than_not():
    taken = dict.fromkeys(("liked", "not liked", "no matter"), 0)
    for traveller in map(Traveller, range(100)):
        assert set(traveller.likes) == set(TRIP)
        for _ in range(20):
            took, left = traveller.takes(*traveller.offer())
            for what, like in traveller.likes.items():
                if took[what] != left[what]:
                    liked = (took[what] == TRIP[what][0]) == (like > 0)
                    taken["no matter" if like == 0 else "liked" if liked else "not liked"] += 1
    assert taken["liked"] > 2 * taken["not liked"]
    assert taken["no matter"] > 500
