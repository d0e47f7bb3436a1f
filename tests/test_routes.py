"""The country, the van's orders and the print shop: what lesson 03 and its lab rely on."""

import pytest

from helpers.worlds.routes import FASTEST_KMH, MORNING, Country, orders_of_the_day, read_time
from helpers.worlds.schedule import PrintShop


@pytest.mark.parametrize("seed", [1, 2, 3103])
def test_every_road_leads_back_and_none_beats_the_estimate(seed):
    country = Country(seed)
    for place in country.xy:
        assert country.roads_from(place)
        for road in country.roads_from(place):
            back = [(r.to, r.kind, r.minutes) for r in country.roads_from(road.to)]
            assert (place, road.kind, road.minutes) in back
            assert road.minutes >= country.km_between(place, road.to) / FASTEST_KMH * 60
            assert (road.toll > 0) == (road.kind == "motorway")


def test_a_seed_is_a_country():
    one, same, other = Country(5), Country(5), Country(6)
    assert one.xy == same.xy != other.xy
    assert all(one.roads_from(place) == same.roads_from(place) for place in one.xy)


def test_every_town_can_be_reached_without_tolls():
    country = Country(seed=4)
    reached, left = set(), ["Alderton"]
    while left:
        here = left.pop()
        if here not in reached:
            reached.add(here)
            left += [road.to for road in country.roads_from(here) if not road.toll]
    assert reached == set(country.xy)


def test_orders_are_of_different_towns_and_open_before_they_close():
    orders = orders_of_the_day(Country(1), seed=7, depot="Oakham")
    towns = {order.to for order in orders}
    assert len(towns) == 5
    assert "Oakham" not in towns
    assert all(MORNING <= order.opens < order.closes for order in orders)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("11:15", 675), ("by 16:00", 960), ("4 pm", 960), ("9:30am", 570), ("before noon", 720)],
)
def test_a_time_of_day_is_read(text, minutes):
    assert read_time(text) == minutes
    assert read_time("12 am") == 0
    assert read_time("12:05 pm") == 725


@pytest.mark.parametrize("text", ["soon", "", "4", "25:00", "13 pm", "0 am", "10:75"])
def test_what_is_no_time_of_day_is_refused(text):
    with pytest.raises(ValueError, match="no time of day"):
        read_time(text)


def test_lateness_is_paid_by_the_hour():
    shop = PrintShop(seed=3, count=4)
    ends = [end for _, _, end in shop.timeline(shop.jobs)]
    late = [max(0, end - job.deadline) for job, end in zip(shop.jobs, ends, strict=True)]
    paid = [job.penalty * hours for job, hours in zip(shop.jobs, late, strict=True)]
    assert shop.penalty(shop.jobs) == sum(paid)
    assert ends[-1] == sum(job.hours for job in shop.jobs)
