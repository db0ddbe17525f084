"""Motif classes proposed beside the stream: told once, named from the next frame on."""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from msgspec import UNSET

from latticewatch.daemon.motif_desk import MotifDesk
from latticewatch.daemon.motif_worker import MotifWorker, ProposesMotifs
from latticewatch.detectors.motifs.reservoir import FIRST_PROPOSED_ID, Reject, Reservoir
from latticewatch.detectors.motifs.site_keys import SiteKey
from latticewatch.wire.words import Level, StatusCode
from support.daemons import make_books
from support.motif_frames import judge, loaded, motif_model, naming_pipeline, noisy, specimen
from support.waiting import wait_until

SIDE = 5


class Statuses:
    """Remembers what was announced."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, dict[str, Any]]] = []

    def announce(
        self,
        code: StatusCode,
        text: str,
        *,
        level: Level = "info",
        detail: Mapping[str, object] | None = None,
    ) -> None:
        assert level == "info"
        self.told.append((code, text, dict(detail or {})))


class TwoClasses:
    means = np.array([[0.0] * 5, [10.0, 0, 0, 0, 0]])
    covariances = np.stack([np.eye(5), np.eye(5)])
    reject_chi2 = 20.5


def group(n: int, *, first: int = 0) -> list[Reject]:
    dice = np.random.default_rng(first)
    patch = np.zeros((SIDE, SIDE), np.float32)
    return [
        Reject(SiteKey(0, 0, first + k, 0, 1),
               np.array([0, 12.0, 0, 0, 0]) + dice.normal(0, 1, 5), "excess", None, patch)
        for k in range(n)
    ]  # fmt: skip


class Bench:
    def __init__(self) -> None:
        self.desk, self.statuses, self.books = MotifDesk(), Statuses(), make_books()
        proposing = ProposesMotifs(
            self.desk, Reservoir(TwoClasses()), lambda row: (row + 1, "AB"[row])
        )
        self.worker = MotifWorker(
            proposing=proposing, sink=self.statuses, books=self.books, source_name="haadf1"
        )


def test_a_group_is_announced_once_with_its_numbers() -> None:
    bench = Bench()
    for _ in range(3):
        bench.desk.hand_in(group(6))
        bench.worker.turn()
    ((code, text, detail),) = bench.statuses.told
    assert code == "motif_proposed"
    assert "class 1000000 (new excess 1000000)" in text
    assert {key: detail[key] for key in ("id", "n", "kind", "name", "nearest_id", "nearest")} == {
        "id": 1_000_000, "n": 6, "kind": "excess", "name": "new excess 1000000",
        "nearest_id": 1, "nearest": "A",
    }  # fmt: skip
    assert [one.class_id for one in bench.desk.proposed] == [1_000_000]
    registry = bench.books.metrics.registry
    assert registry.get_sample_value("latticewatch_motifs_proposed_total") == 1


def test_without_news_nothing_is_done() -> None:
    bench = Bench()
    bench.worker.turn()
    assert bench.desk.proposed == ()
    assert bench.worker.n_sites == 0


def test_the_thread_works_when_there_are_news_and_ends_when_closed() -> None:
    bench = Bench()
    thread = threading.Thread(target=bench.worker.run, daemon=True)
    thread.start()
    bench.desk.hand_in(group(6))
    assert wait_until(lambda: bool(bench.desk.proposed))
    bench.worker.close()
    thread.join(5)
    assert not thread.is_alive()


def test_closed_while_it_waits_it_ends() -> None:
    bench = Bench()
    thread = threading.Thread(target=bench.worker.run, daemon=True)
    thread.start()
    bench.worker.close()
    thread.join(5)
    assert not thread.is_alive()


def test_more_than_the_desk_holds_pushes_the_oldest_out() -> None:
    desk = MotifDesk()
    for first in range(0, 3000, 10):
        desk.hand_in(group(10, first=first))
    assert len(desk.take()) == 2048
    assert desk.take() == []


@pytest.mark.slow
def test_an_unknown_kind_is_proposed_and_named_from_the_next_frame_on() -> None:
    known = ("one S absent", "both S absent", "heavy S", "light metal")
    motifs = loaded(motif_model(301, known), propose_after=5)
    pipeline = naming_pipeline(motifs)
    desk = pipeline.motif_desk
    assert desk is not None
    statuses = Statuses()
    worker = MotifWorker(
        proposing=ProposesMotifs(desk, motifs.reservoir(), motifs.class_of),
        sink=statuses,
        books=make_books(),
    )
    scene = specimen(5, n_each=10, kinds=("heavy metal", "one S absent"))
    judge(pipeline, noisy(scene.image, 0), 0)
    worker.turn()
    assert [code for code, _, _ in statuses.told] == ["motif_proposed"]
    detail = statuses.told[0][2]
    assert (detail["kind"], detail["id"]) == ("excess", FIRST_PROPOSED_ID)
    event = judge(pipeline, noisy(scene.image, 1), 1).event
    proposed = [
        one for one in event.defects if one.motif is not UNSET and one.motif.role == "proposed"
    ]
    assert len(proposed) >= 8
    for one in proposed:
        assert one.label == detail["name"]
        assert one.motif is not UNSET
        assert one.motif.id == detail["id"]
        off = np.linalg.norm(scene.places_yx - np.array(one.pixel_yx), axis=1)
        assert scene.names[scene.kind[off.argmin()]] == "heavy metal"
    worker.turn()
    assert len(statuses.told) == 1
