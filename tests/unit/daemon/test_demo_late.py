"""Late events in the demo and in `watch`: a frame is counted once, and judged by both events."""

import dataclasses
import io
import tomllib
from pathlib import Path

import msgpack
import numpy as np
import pytest
from rich.console import Console
from typer.main import get_command

from latticewatch.adapters.errors import InputError
from latticewatch.client import DefectEvent, decode
from latticewatch.daemon import watch
from latticewatch.daemon.choosing import DETECTORS
from latticewatch.daemon.cli import app
from latticewatch.daemon.config import load_settings
from latticewatch.daemon.demo_late import LateTally
from latticewatch.daemon.demo_score import Truth, judge
from latticewatch.daemon.demo_setup import (
    DemoSettings,
    choose_models,
    looks_late,
    parse_detectors,
    write_config,
)
from latticewatch.daemon.demo_view import DemoState, render
from latticewatch.daemon.models import ModelError, check_models
from support.golden import read_golden

TRUTH = Truth(np.array([[50.0, 50.0], [50.0, 150.0]]), ("vacancy", "excess"), 20.0)


def client_event(name: str, **changes: object) -> DefectEvent:
    value = msgpack.unpackb(read_golden(name)[0]) | changes
    event = decode(msgpack.packb(value))
    assert isinstance(event, DefectEvent)
    return dataclasses.replace(event, t_received_ns=event.frame.t_complete_ns + 60_000_000)


def late_at(*places: tuple[float, float]) -> DefectEvent:
    event = client_event("event_late")
    defects = tuple(dataclasses.replace(event.defects[0], pixel_yx=place) for place in places)
    frame = dataclasses.replace(event.frame, shape_yx=(200, 200))
    return dataclasses.replace(event, defects=defects, frame=frame)


def tally_after(first_yx: list[list[float]], *late: DefectEvent) -> LateTally:
    tally = LateTally()
    found = np.array(first_yx).reshape(-1, 2)
    first = client_event("event_none")
    first = dataclasses.replace(first, frame=dataclasses.replace(first.frame, shape_yx=(200, 200)))
    tally.add_first(first, found, TRUTH, judge(found, TRUTH, (200, 200)))
    for event in late:
        tally.add_late(event, settled=True)
    return tally


def test_the_demo_judges_both_events_of_a_frame_together() -> None:
    alone = tally_after([[50.0, 50.0]])
    both = tally_after([[50.0, 50.0]], late_at((50.0, 150.0), (150.0, 150.0)))

    assert alone.result()["recall"] == 0.5
    assert alone.result()["dropped"] == 1
    assert both.result() == {
        "answered": 1,
        "dropped": 0,
        "p50_ms": 60.0,
        "p99_ms": 60.0,
        "precision": 0.6667,
        "recall": 1.0,
    }


def test_a_late_event_whose_first_was_lost_has_an_age_and_no_verdict() -> None:
    tally = LateTally()
    tally.add_late(late_at((50.0, 50.0)), settled=True)
    tally.add_late(late_at((50.0, 50.0)), settled=False)

    assert (tally.n_answered, len(tally.ages_ms)) == (2, 1)
    assert tally.result()["precision"] is None


def test_the_table_of_events_counts_a_late_one_apart_and_calls_it_late() -> None:
    state = watch.WatchState("haadf1", "tcp://127.0.0.1:5611")
    state.accept(client_event("event_none"))
    state.accept(client_event("event_late"))

    assert (state.n_events, state.n_late) == (1, 1)
    assert "  late scored  " in watch.event_line(client_event("event_late"))
    assert "late" not in watch.event_line(client_event("event_none"))


def detectors_of(path: Path) -> dict[str, object]:
    return dict(tomllib.loads(path.read_text())["detectors"])


def test_the_demo_lets_those_look_that_are_asked_for(tmp_path: Path) -> None:
    asked = parse_detectors("patterson, vae")
    path = write_config({"patterson": "pretrained:mos2"}, tmp_path, asked)

    assert detectors_of(path) == {
        "reference_cell": {"enabled": False},
        "patterson": {"enabled": True, "model": "pretrained:mos2"},
        "domains": {"enabled": False},
        "vae": {"enabled": True},
        "symmetry": {"enabled": False},
        "motifs": {"enabled": False},
    }
    assert load_settings(path).detectors.vae.late


@pytest.mark.parametrize("name", ["vae", "symmetry"])
def test_a_slow_detector_alone_is_waited_for(name: str, tmp_path: Path) -> None:
    path = write_config({}, tmp_path, parse_detectors(name))

    assert not getattr(load_settings(path).detectors, name).late
    assert not looks_late(DemoSettings(detectors=(name,)))
    assert looks_late(DemoSettings(detectors=("reference_cell", name)))


def test_the_demo_without_a_word_is_as_it_was(tmp_path: Path) -> None:
    assert parse_detectors(None) is None
    assert detectors_of(write_config({"patterson": "pretrained:mos2"}, tmp_path)) == {
        "patterson": {"model": "pretrained:mos2"}
    }


def test_no_model_is_fitted_for_a_detector_that_does_not_look(tmp_path: Path) -> None:
    settings = DemoSettings(dose=12_345.0, detectors=("reference_cell",))

    assert choose_models(settings, tmp_path) == {}


@pytest.mark.parametrize("text", ["", "vea", "patterson,vea", "domains", ","])
def test_names_of_no_detector_are_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^--detectors ") as caught:
        parse_detectors(text)
    assert len(str(caught.value).splitlines()) == 1


def test_the_help_of_the_demo_names_every_detector() -> None:
    (option,) = [one for one in get_command(app).commands["demo"].params if one.name == "detectors"]  # type: ignore[attr-defined]  # a group

    assert [name for name in DETECTORS if name not in option.help] == []


def test_every_detector_of_the_table_has_its_settings() -> None:
    assert set(type(load_settings().detectors).model_fields) == {*DETECTORS, "late_within_ms"}


def test_a_model_that_is_not_there_is_one_line_with_the_setting_that_names_it() -> None:
    settings = load_settings().detectors
    vae = settings.vae.model_copy(update={"enabled": True, "model": "nowhere/my.model"})
    with pytest.raises(ModelError, match=r"^detectors\.vae\.model: .*nowhere/my\.model") as caught:
        check_models(settings.model_copy(update={"vae": vae}))
    assert len(str(caught.value).splitlines()) == 1


def test_a_view_with_late_events_is_as_high_as_without() -> None:
    def lines_of(state: DemoState) -> list[str]:
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(render(state))
        return console.export_text().splitlines()

    state = DemoState("mos2 512 x 512, 30 frames/s")
    before = lines_of(state)
    state.late.add_late(late_at((50.0, 50.0)), settled=True)
    after = lines_of(state)

    assert len(before) == len(after)
    assert any("late p50  60.0 ms" in line for line in after)
