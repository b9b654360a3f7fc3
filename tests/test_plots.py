"""Pictures show what passed, print the numbers that matter, and stay small."""

import asyncio
import os
import subprocess
import sys
from functools import cache

import pytest
from matplotlib.colors import to_hex

from wslearn import Application, Close, CloseReason, Ping, Pong, Trace, WebSockets, connect, simulate
from wslearn.codec import encode
from wslearn.lab import plots
from wslearn.lab.still import Still

MAX_PICTURE = 60_000  # bytes
PNG = b"\x89PNG\r\n"


def test_no_word_of_matplotlibs_caches_gets_into_a_lesson(tmp_path):
    no_folder = tmp_path / "file"
    no_folder.touch()
    environment = os.environ | {"MPLCONFIGDIR": str(no_folder)}
    command = [sys.executable, "-c", "import wslearn.lab.plots"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def rides(fault=None, ping_period=5, timeout=5, until=30):
    """Return the wire's trace of a phone to which something happens at 10 s."""

    async def scene(net):
        app = Application()
        app.install(WebSockets, ping_period=ping_period, timeout=timeout)

        @app.websocket("/score")
        async def score(session):
            async for _ in session.incoming:
                pass

        server = await app.start("server", 80)
        await connect(server.url("/score"))
        if fault:
            asyncio.get_running_loop().call_at(10, fault, net)
        await asyncio.sleep(until - asyncio.get_running_loop().time())
        return net.trace

    return simulate(scene, latency=0.5)


def cut(net):
    net.cut("client")


def traced(*frames):
    """Return a trace of frames: time, sender, frame."""
    trace = Trace()
    trace.begin(0)
    for time, sender, frame in frames:
        trace.record(time, 1, sender, encode(frame, b"\0\0\0\0" if sender == "client" else None))
    return trace


# beats


def test_beats_pair_pings_and_pongs_by_payload():
    trace = traced(
        (1, "server", Ping(b"a")),
        (2, "server", Ping(b"b")),
        (3, "client", Pong(b"b")),
        (4, "client", Pong(b"c")),
        (5, "client", Pong(b"a")),
    )
    assert plots.beats(trace) == [(1, 5, None), (2, 3, None)]


def test_beats_with_one_payload_for_all_take_the_next_pong():
    pings = [(n, "server", Ping(b"")) for n in (1, 3)]
    pongs = [(n, "client", Pong(b"")) for n in (2, 4)]
    frames = sorted(pings + pongs, key=lambda each: each[0])
    assert plots.beats(traced(*frames)) == [(1, 2, None), (3, 4, None)]


def test_beats_on_a_wire_count_to_the_arrival_of_the_pong():
    assert plots.beats(rides(until=8)) == [(6.5, 7.5, None)]


def test_a_pong_that_never_arrives_is_no_pong():
    assert plots.beats(rides(cut))[-1] == (12.5, None, 17.5)


def test_beats_end_where_the_server_gives_up_and_not_where_it_stops():
    ping, gone = (1, "server", Ping(b"a")), CloseReason(1001)
    assert plots.beats(traced(ping, (2, "server", Close(CloseReason(1011))))) == [(1, None, 2)]
    assert plots.beats(traced(ping, (2, "server", Close(gone)))) == [(1, None, None)]
    assert plots.beats(traced(ping, (2, "client", Close()), (3, "server", Close()))) == [(1, None, None)]


@pytest.mark.parametrize(
    ("beat", "text"),
    [
        (plots.Beat(1, 1.25, None), "ping at 1.00 s, pong at 1.25 s: round trip 0.25 s"),
        (plots.Beat(1, None, 6), "ping at 1.00 s, no pong; timeout at 6.00 s: 5.00 s in vain"),
        (plots.Beat(1, None, None), "ping at 1.00 s, no pong yet"),
    ],
)
def test_beat_reads_as_a_line(beat, text):
    assert str(beat) == text


# percentiles


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (1, 1), (50, 5), (51, 6), (99, 10), (100, 10)])
def test_percentile_is_the_nearest_rank(percent, value):
    assert plots.percentile([3, 1, 2, 5, 4, 10, 9, 8, 7, 6], percent) == value


def test_percentile_of_nothing_is_named():
    with pytest.raises(ValueError, match="values is empty"):
        plots.percentile([], 50)


# pictures


def test_ping_timeline_prints_each_ping_and_when_the_cut_was_noticed():
    assert repr(plots.ping_timeline(rides(cut))).splitlines() == [
        "ping at 6.50 s, pong at 7.50 s: round trip 1.00 s",
        "ping at 12.50 s, no pong; timeout at 17.50 s: 5.00 s in vain",
        "cable cut at 10.0 s, noticed after 7.5 s",
    ]


def test_ping_timeline_can_end_early():
    assert len(repr(plots.ping_timeline(rides(), until=8)).splitlines()) == 1


def test_ping_timeline_of_one_end_says_what_is_needed():
    with pytest.raises(ValueError, match=r"net\.trace of a simulation is needed"):
        plots.ping_timeline(traced((1, "server", Ping())))


def test_lanes_say_what_each_server_noticed():
    traces = {
        "cut": rides(cut),
        "reset": rides(lambda net: net.reset("client")),
        "frozen, no pings": rides(lambda net: net.freeze("client"), ping_period=None),
        "well": rides(),
    }
    assert repr(plots.lanes(traces)).splitlines() == [
        "cut: cable cut at 10.0 s, noticed after 7.5 s",
        "reset: reset at 10.0 s, noticed at once",
        "frozen, no pings: frozen at 10.0 s, no alarm",
        "well: no alarm",
    ]


def test_histogram_prints_its_percentiles():
    text = "4 times round trip: p50 20.0 ms, p99 40.0 ms, longest 40.0 ms"
    assert repr(plots.histogram([10, 20, 30, 40])) == text


def test_detection_band_prints_least_mean_and_most():
    text = "3 cuts, noticed after: 15.0 s at least, 22.0 s on average, 30.0 s at most"
    assert repr(plots.detection_band([(1, 30), (2, 21), (3, 15)], period=15, timeout=15)) == text


def test_heat_maps_print_their_tables():
    picture = plots.heat_maps({"worst": [[3, 6], [4, 7]]}, periods=(2, 5), timeouts=(1, 2))
    assert repr(picture).splitlines() == [
        "worst:",
        "timeout \\ period     2     5",
        "               1     3     6",
        "               2     4     7",
    ]


@cache
def pictures():
    table = [[n * m for n in range(5)] for m in range(5)]
    numbers = (1, 2, 5, 10, 15)
    return {
        "timeline": plots.ping_timeline(rides(cut)),
        "lanes": plots.lanes({"cut": rides(cut), "well": rides()}),
        "no pings": plots.lanes({"well": rides(ping_period=None)}),
        "histogram": plots.histogram([n % 97 for n in range(1000)]),
        "one value": plots.histogram([40.0] * 10),
        "band": plots.detection_band([(n, 30 - n % 15) for n in range(1000)], period=15, timeout=15),
        "maps": plots.heat_maps(
            {"a": table, "b": table}, periods=numbers, timeouts=numbers, notes=["kB"] * 5
        ),
        "all zero": plots.heat_maps({"a": [[0]]}, periods=(1,), timeouts=(1,)),
    }


def test_pictures_are_small():
    for name, picture in pictures().items():
        png = picture._repr_png_()
        assert png.startswith(PNG), name
        assert len(png) < MAX_PICTURE, name


def test_every_text_in_a_picture_stands_on_the_paper():
    for name, picture in pictures().items():
        picture.figure.draw_without_rendering()
        paper = picture.figure.bbox
        for axes in picture.figure.axes:
            for text in axes.texts:
                box = text.get_window_extent()
                assert paper.x0 <= box.x0, (name, text.get_text())
                assert box.x1 <= paper.x1, (name, text.get_text())


# light and dark


def luminance(colour):
    """Source: WCAG 2.2, relative luminance; the channels of a colour are 0 to 1."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def by_day(name):
    return [int(name[at : at + 2], 16) / 255 for at in (1, 3, 5)]


def at_night(name):
    """Return a colour as the style sheet turns it over: invert(0.93) hue-rotate(180deg).

    Source: CSS Filter Effects, section 9.7.
    """
    red, green, blue = (0.93 - 0.86 * part for part in by_day(name))
    grey = 2 * (0.213 * red + 0.715 * green + 0.072 * blue)
    return [min(1, max(0, grey - part)) for part in (red, green, blue)]


@pytest.mark.parametrize("seen", [by_day, at_night])
@pytest.mark.parametrize("colour", [plots.BLUE, plots.GREEN, plots.VERMILION, plots.INK])
def test_text_has_contrast_enough_by_day_and_at_night(colour, seen):
    assert "filter: invert(0.93) hue-rotate(180deg)" in Still._css
    assert contrast(seen(colour), seen(plots.PAPER)) >= 4.5


def test_numbers_in_a_heat_map_have_contrast_enough_by_day_and_at_night():
    axes = plots.heat_maps({"a": [[*range(11)]]}, periods=range(11), timeouts=[1]).figure.axes[0]
    (image,) = axes.images
    for value, text in enumerate(axes.texts):
        ground, ink = (to_hex(colour) for colour in (image.to_rgba([[value]])[0][0], text.get_color()))
        assert contrast(by_day(ground), by_day(ink)) >= 4.5
        assert contrast(at_night(ground), at_night(ink)) >= 4.5


def test_a_picture_is_shown_with_its_text_and_stands_as_a_png_where_no_kernel_is():
    picture = plots.histogram([10, 20, 30, 40])
    assert repr(picture.still()) == repr(picture)
    data, _ = picture._repr_mimebundle_()
    assert data["text/plain"] == repr(picture)
    assert data["image/png"].startswith(PNG)
    assert "text/html" not in data


# the slider


def test_slider_draws_anew_and_prints_its_picture():
    slider = plots.Slider(lambda n: plots.histogram([n]), "jitter in ms", value=20, most=200)
    assert "p50 20.0 ms" in repr(slider)
    slider.children[0].value = 30
    assert "p50 30.0 ms" in repr(slider)
    data = slider._repr_mimebundle_()
    assert data["text/plain"] == repr(slider)
    assert data["image/png"].startswith(PNG)


def test_slider_shows_what_its_drawing_raises_and_goes_on():
    slider = plots.Slider(lambda n: plots.histogram([100 / n]), "jitter in ms", value=20, most=200)
    slider.children[0].value = 0
    assert slider.children[2].value == "ZeroDivisionError: division by zero"
    assert "p50 5.0 ms" in repr(slider)
    slider.children[0].value = 10
    assert slider.children[2].value == ""


# round trips as they came, and what an hour costs


def beat(ping, seconds):
    return plots.Beat(
        ping, None if seconds is None else ping + seconds, ping + 5 if seconds is None else None
    )


def test_round_trips_tell_percentiles_of_all_and_how_many_had_no_pong():
    found = [beat(n, 0.01 * n) for n in range(1, 101)] + [beat(101, None)]
    assert repr(plots.round_trips(found)) == "100 round trips: p50 500.0 ms, p99 990.0 ms, 1 without a pong"


def test_round_trips_draw_both_running_percentiles_of_the_newest():
    figure = plots.round_trips([beat(n, 0.1) for n in range(60)] + [beat(60, 0.9)], window=50).figure
    half, most = (line.get_ydata() for line in figure.axes[0].lines[:2])
    assert (half[-1], most[-2], most[-1]) == pytest.approx((100, 100, 900))
    assert len(half) == 61 - 10 + 1


def test_round_trips_without_any_pong_are_an_error():
    with pytest.raises(ValueError, match="values is empty"):
        plots.round_trips([beat(1, None)])


def test_hourly_cost_tells_bytes_and_wake_ups_of_each_period():
    picture = plots.hourly_cost({2: (274_240, 1714), 30: (19_040, 119)})
    assert repr(picture).splitlines() == [
        "period/s  bytes/h  wake-ups/h",
        "       2  274,240       1,714",
        "      30   19,040         119",
    ]
    assert picture._repr_png_().startswith(PNG)
    assert len(picture._repr_png_()) < MAX_PICTURE


# what compression costs and tells


@pytest.mark.parametrize("logarithmic", [False, True])
def test_curves_tell_each_value_in_the_order_of_its_place(logarithmic):
    named = {"kept": {9: 4096.0, 10: 6144.0}, "not kept": {9: 100, 10: 1}}
    picture = plots.curves(named, "window bits", "bytes", logarithmic=logarithmic)
    assert repr(picture).splitlines() == ["window bits: 9 10", "kept: 4,096 6,144", "not kept: 100 1"]
    assert len(picture._repr_png_()) < MAX_PICTURE


def test_guess_ladder_tells_which_letter_made_a_shorter_frame():
    picture = plots.guess_ladder([{"a": 9, "b": 8, "c": 9}, {"a": 9, "b": 9, "c": 9}])
    assert repr(picture).splitlines() == ["letter 1: 9 bytes, 8 for b", "letter 2: 9 bytes, the same for all"]
    assert len(picture._repr_png_()) < MAX_PICTURE


# a ping behind a photo


def test_ping_waits_prints_the_round_trip_for_each_size_of_a_fragment():
    picture = plots.ping_waits({2**20: 8.39, 2**14: 0.524, 2**12: 0.53})
    assert picture.text.splitlines() == ["   4 KiB: 0.53 s", "  16 KiB: 0.52 s", "   1 MiB: 8.39 s"]
    assert len(picture._repr_png_()) <= MAX_PICTURE


# what an object takes in each format


def test_size_bars_tell_the_bytes_of_each_object_in_each_format():
    picture = plots.size_bars(
        {"one goal": {"JSON": 59, "CBOR": 41}, "22 places": {"JSON": 1611, "CBOR": 604}}
    )
    assert repr(picture).splitlines() == [
        "           JSON  CBOR",
        "one goal     59    41",
        "22 places  1,611   604",
    ]
    assert len(picture._repr_png_()) < MAX_PICTURE


# a server under attack


def test_under_attack_prints_what_is_held_with_and_without_a_limit():
    panels = {
        "connections held": {"no limit": [(0, 0), (1, 600)], "with a limit": [(0, 1), (1, 100)]},
        "MiB held": {"no limit": [(0, 0.5), (1, 18.75)], "with a limit": [(0, 0), (1, 0)]},
    }
    picture = plots.under_attack(panels)
    assert picture.text.splitlines() == [
        "connections held, no limit: 600 at most",
        "connections held, with a limit: 100 at most",
        "MiB held, no limit: 18.75 at most",
        "MiB held, with a limit: 0 at most",
    ]
    assert len(picture._repr_png_()) <= MAX_PICTURE
