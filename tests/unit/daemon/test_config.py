"""Settings: every mistake at once, with its path; the default file is the defaults."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from latticewatch.daemon.config import (
    ConfigError,
    Settings,
    default_toml,
    load_settings,
    settings_schema,
)
from latticewatch.daemon.exchange import pipeline_settings
from latticewatch.daemon.models import model_mistakes
from latticewatch.detectors.pixel_size import PlaneNet

REPOSITORY = Path(__file__).parents[3]

# What an operator can get wrong, and the whole line that says so.
MISTAKES = {
    "[ingest]\nhwm = 0": "ingest.hwm = 0: must be at least 1",
    "[ingest]\nhwmm = 4": "ingest.hwmm: unknown, did you mean ingest.hwm?",
    "[ingest]\nhwm = true": "ingest.hwm = true: must be a number, not true or false",
    "[ingest]\nmode = 'fast'": "ingest.mode = \"fast\": must be one of 'live' or 'lossless'",
    "[ingest]\nmax_age_ms = -1": "ingest.max_age_ms = -1: must be at least 0 ms",
    "[ingest]\nshard = [2, 2]": ("ingest.shard = [2, 2]: must be [k, n] with 0 <= k < n <= 1024"),
    "[ingest]\nendpoint = 'tcp://*:5610'": (
        'ingest.endpoint = "tcp://*:5610": must be tcp://127.0.0.1:PORT or '
        "ipc:///FOLDER/NAME; other hosts come later"
    ),
    "[events]\nhwm = 1.5": "events.hwm = 1.5: must be a whole number",
    "[events]\nheartbeat_ms = 900": "events.heartbeat_ms = 900: must be at most 250 ms",
    "[http]\nhost = '0.0.0.0'": (
        'http.host = "0.0.0.0": must be 127.0.0.1, ::1 or localhost; other hosts come later'
    ),
    "[http]\nhwm = 3": "http.hwm: unknown, did you mean ingest.hwm?",
    "[source]\nname = 'My Scope'": (
        'source.name = "My Scope": must match ^[a-z0-9][a-z0-9_-]{0,31}$'
    ),
    "[detect]\nfdr = 0.1\nfalse_alarms_per_frame = 1.0": (
        "detect.false_alarms_per_frame = 1.0: give exactly one of fdr and false_alarms_per_frame"
    ),
    "[detect]\nfdr = nan": "detect.fdr = nan: must be finite",
    "[detectors.patterson]\nmodle = 'x'": (
        "detectors.patterson.modle: unknown, did you mean detectors.patterson.model?"
    ),
    "[material]\nname = 'mos3'": (
        'material.name = "mos3": must be one of graphene, MoS2, WS2, WSe2, MoTe2, SrTiO3, '
        "or give a_pm"
    ),
    "[material]\na_pm = 3.16": "material.a_pm = 3.16: must be at least 50 pm",
    "[material]\nname = 'WS2'\na_pm = 315.3": ("material.a_pm = 315.3: give either name or a_pm"),
    "[material]\nb_pm = 400.0": "material.b_pm = 400.0: give a_pm, too",
    "[material]\nangle_deg = 120.0": "material.angle_deg = 120.0: give a_pm, too",
    "[material]\nname = 'SrTiO3'\nb_pm = 300.0": (
        "material.b_pm = 300.0: give a_pm in place of name, or leave this out"
    ),
    "[material]\na_pm = 300\nangle_deg = 180": (
        "material.angle_deg = 180: must be at most 160.0 degrees"
    ),
    "[compute]\nthreads = 'many'": 'compute.threads = "many": must be a whole number',
    "[sorce]\nname = 'x'": "sorce: unknown, did you mean source?",
    "source = 3": "source = 3: must be a table of settings",
}


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.fault
@pytest.mark.parametrize(("text", "line"), list(MISTAKES.items()))
def test_a_mistake_is_named_with_its_path(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text))
    assert caught.value.lines == [line]


@pytest.mark.fault
def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    text = "[ingest]\nhwm = 0\nhwmm = 1\nshard = [3, 1]\n[http]\nport = 70000\n[sauce]\nx = 1\n"
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text))
    assert [line.split(" ")[0].rstrip(":") for line in caught.value.lines] == [
        "ingest.hwm", "ingest.shard", "ingest.hwmm", "http.port", "sauce",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"[ingest\n", "not TOML"), (b"a = '\xff'\n", "not UTF-8"), (None, "no such file")],
)
def test_an_unreadable_file_is_one_line(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "settings.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert len(caught.value.lines) == 1
    assert words in caught.value.lines[0]


@pytest.mark.fault
@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[events]\nendpoint = 'tcp://127.0.0.1:5610'",
            'events.endpoint = "tcp://127.0.0.1:5610": is taken by ingest.endpoint: choose another',
        ),
        (
            "[ingest]\nendpoint = 'ipc:///a/b'\n[events]\nendpoint = 'ipc:///a/b'",
            'events.endpoint = "ipc:///a/b": is taken by ingest.endpoint: choose another',
        ),
        (
            "[http]\nhost = 'localhost'\nport = 5611",
            'http.port = "tcp://localhost:5611": is taken by events.endpoint: choose another',
        ),
    ],
)
def test_an_address_is_taken_once(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text))
    assert caught.value.lines == [line]


def test_free_ports_and_other_hosts_do_not_clash(tmp_path: Path) -> None:
    free = "endpoint = 'tcp://127.0.0.1:*'"
    load_settings(write(tmp_path, f"[ingest]\n{free}\n[events]\n{free}\n[http]\nport = 0"))
    load_settings(write(tmp_path, "[events]\nendpoint = 'tcp://127.0.0.2:5610'"))


@pytest.mark.fault
def test_an_address_and_a_model_are_told_beside_other_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATTICEWATCH_EVENTS__ENDPOINT", "tcp://127.0.0.1:7000")
    text = (
        "[ingest]\nhwm = 0\nendpoint = 'tcp://localhost:7000'\n"
        "[detectors.patterson]\nmodel = 'pretrained:graphene'\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text), model_mistakes=model_mistakes)
    assert [line.split(" ")[0] for line in caught.value.lines] == [
        "ingest.hwm", "events.endpoint", "detectors.patterson.model:",
    ]  # fmt: skip


def test_defaults_are_the_default_file(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, default_toml())) == load_settings()


def test_the_shipped_default_file_is_the_generated_one() -> None:
    shipped = REPOSITORY / "deploy" / "config" / "default.toml"
    assert shipped.read_text(encoding="utf-8") == default_toml()


def test_every_setting_has_a_description() -> None:
    for name, section in settings_schema()["$defs"].items():
        for setting, schema in section["properties"].items():
            assert "description" in schema or "$ref" in schema, f"{name}.{setting}"


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATTICEWATCH_INGEST__HWM", "9")
    monkeypatch.setenv("LATTICEWATCH_INGEST__SHARD", "[1, 3]")
    settings = load_settings(write(tmp_path, "[ingest]\nhwm = 2\nqueue = 5\n"))
    assert settings.ingest.hwm == 9
    assert settings.ingest.queue == 5
    assert settings.ingest.shard == (1, 3)


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("LATTICEWATCH_INGEST__HWM", "0", 'ingest.hwm = "0": must be at least 1'),
        ("LATTICEWATCH_INGST__HWM", "3", "LATTICEWATCH_INGST__HWM: unknown section, did you mean"),
        ("LATTICEWATCH_INGEST__SHARD", "[1", "environment: error parsing value"),
    ],
)
def test_a_mistake_in_the_environment_is_one_too(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, line: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert caught.value.lines[0].startswith(line)


def test_naming_the_other_rule_replaces_the_default(tmp_path: Path) -> None:
    detect = load_settings(write(tmp_path, "[detect]\nfalse_alarms_per_frame = 0.5")).detect
    assert detect.fdr is None
    assert detect.false_alarms_per_frame == 0.5


@pytest.mark.parametrize(
    ("text", "net"),
    [
        ("", None),
        ("name = 'mos2'", PlaneNet(316.0, 316.0, 120.0)),
        ("a_pm = 390.5", PlaneNet(390.5, 390.5, 90.0)),
        ("a_pm = 300\nb_pm = 400\nangle_deg = 70", PlaneNet(300.0, 400.0, 70.0)),
    ],
)
def test_the_material_is_a_name_or_a_lattice(
    tmp_path: Path, text: str, net: PlaneNet | None
) -> None:
    settings = load_settings(write(tmp_path, f"[material]\n{text}"))

    assert settings.material.net == net
    assert pipeline_settings(settings).material == net


@pytest.mark.fault
def test_all_mistakes_about_the_material_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, "[material]\na_pm = 3\nb_pm = nan\nangle_deg = 0\nc_pm = 1"))
    assert [line.split(" ")[0].rstrip(":") for line in caught.value.lines] == [
        "material.a_pm", "material.b_pm", "material.angle_deg", "material.c_pm",
    ]  # fmt: skip


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().ingest.hwm = 3
