from pathlib import Path

import numpy as np
import pytest

from latticewatch.daemon.plots import (
    KIND_COLOURS,
    Mark,
    _draw_marks,
    _make_canvas,
    draw_frame,
    draw_residual,
    draw_severity,
)
from latticewatch.daemon.sights import Picture

matplotlib_image = pytest.importorskip(
    "matplotlib.image", reason="plots need the io extra", exc_type=ImportError
)


def test_a_marked_defect_has_the_colour_of_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "frame.png"
    image = np.zeros((64, 64), np.uint16)

    draw_frame(image, [Mark((20.0, 40.0), "vacancy", 8.0)], title="a\nb", path=path)

    picture = matplotlib_image.imread(path)[..., :3]
    wanted = np.array([int(KIND_COLOURS["vacancy"][at : at + 2], 16) for at in (1, 3, 5)]) / 255
    coloured = np.argwhere(np.abs(picture - wanted).max(axis=2) < 0.02)
    assert len(coloured) > 20


@pytest.mark.parametrize(
    "image",
    [
        np.full((32, 40), np.nan),
        np.full((32, 40), 7, np.uint8),
        np.array([[np.inf, -np.inf], [np.nan, 1.0]] * 16),
        np.zeros((16, 700), np.float32),
    ],
    ids=["nan", "constant", "infinite", "strip"],
)
def test_any_frame_can_be_drawn(image: "np.ndarray", tmp_path: Path) -> None:
    draw_frame(image, [], title="$ not a formula \\", path=tmp_path / "frame.png")

    assert (tmp_path / "frame.png").stat().st_size > 0


@pytest.mark.parametrize(
    "residual",
    [np.full((32, 40), np.nan), np.zeros((32, 40)), np.array([[np.nan, -1.0], [2.0, 0.0]] * 16)],
    ids=["nothing", "none", "some"],
)
def test_any_residual_can_be_drawn(residual: "np.ndarray", tmp_path: Path) -> None:
    draw_residual(residual.astype(np.float32), [], title="r", path=tmp_path / "residual.png")

    assert (tmp_path / "residual.png").stat().st_size > 0


def test_too_much_is_red_and_too_little_blue(tmp_path: Path) -> None:
    residual = np.zeros((64, 64), np.float32)
    residual[10:20, 10:20], residual[40:50, 40:50] = 1.0, -1.0

    draw_residual(residual, [], title="", path=tmp_path / "residual.png")

    picture = matplotlib_image.imread(tmp_path / "residual.png")[..., :3]
    red, blue = picture[..., 0], picture[..., 2]
    reddish, blueish = np.argwhere(red > blue + 0.2), np.argwhere(blue > red + 0.2)
    assert len(reddish)
    assert len(blueish)
    assert (reddish.mean(axis=0) < blueish.mean(axis=0)).all()


@pytest.mark.parametrize("shape_yx", [(256, 256), (48, 700), (700, 48)], ids=str)
@pytest.mark.parametrize("share_yx", [(0, 0), (0, 1), (1, 0), (1, 1), (0.5, 1), (0, 0.5)], ids=str)
def test_a_label_stays_inside_the_picture(
    shape_yx: tuple[int, int], share_yx: tuple[float, float]
) -> None:
    place_yx = (share_yx[0] * (shape_yx[0] - 1), share_yx[1] * (shape_yx[1] - 1))
    figure, axes, _ = _make_canvas(shape_yx)
    axes.imshow(np.zeros(shape_yx))

    _draw_marks(axes, [Mark(place_yx, "vacancy", 4.0)] * 12)

    figure.canvas.draw()
    room = axes.get_window_extent()
    for label in axes.texts:
        taken = label.get_window_extent()
        assert room.x0 <= taken.x0 <= taken.x1 <= room.x1, label
        assert room.y0 <= taken.y0 <= taken.y1 <= room.y1, label


def test_an_unknown_kind_is_drawn_as_unknown(tmp_path: Path) -> None:
    marks = [Mark((5.0, 5.0), "of a newer version", 3.0)] * 60

    draw_frame(np.zeros((32, 32)), marks, title="", path=tmp_path / "frame.png")

    assert (tmp_path / "frame.png").exists()


@pytest.mark.parametrize(("kind", "closed"), [("boundary", False), ("amorphous", True)])
def test_outline_is_drawn_and_that_of_a_patch_closed(kind: str, closed: bool) -> None:
    _, axes, _ = _make_canvas((64, 96))
    axes.imshow(np.zeros((64, 96)))
    outline = ((10.0, 20.0), (30.0, 40.0), (50.0, 20.0))

    _draw_marks(axes, [Mark((30.0, 30.0), kind, 40.0, outline_px_yx=outline)])

    assert not axes.patches
    drawn = axes.lines[-1].get_xydata()
    expected = [(x, y) for y, x in (*outline, *(outline[:1] if closed else ()))]
    assert np.asarray(drawn).tolist() == [list(point) for point in expected]


def test_dopant_is_drawn_faintly() -> None:
    _, axes, _ = _make_canvas((64, 96))
    axes.imshow(np.zeros((64, 96)))

    _draw_marks(axes, [Mark((30.0, 30.0), "excess", 6.0, is_dopant=each) for each in (True, False)])

    faint, plain = axes.patches
    assert faint.get_linewidth() < plain.get_linewidth()


def severity_map(values: "np.ndarray") -> Picture:
    return Picture(
        "symmetry", values.astype(np.float32), signed=False, step_px=8.0, first_px_yx=(7.5, 7.5)
    )


def test_a_severity_map_lies_over_its_frame_where_it_belongs(tmp_path: Path) -> None:
    values = np.zeros((15, 15))
    values[3, 10] = 4.0
    values[:, :2] = np.nan
    path = tmp_path / "map.png"
    image = np.full((128, 128), 9, np.uint16)

    draw_severity(image, severity_map(values), [], title="a\nb", path=path)

    picture = matplotlib_image.imread(path)[..., :3]
    height, width = picture.shape[:2]
    top = (height - width) // 2  # strips for title and legend above and below
    shown = picture[top : top + width].sum(axis=2)
    brightest = (np.argwhere(shown > 0.95 * shown.max()).mean(axis=0) + 0.5) / width * 128 - 0.5
    assert brightest == pytest.approx([8 * 3 + 7.5, 8 * 10 + 7.5], abs=1.0)


@pytest.mark.parametrize("values", [np.full((15, 15), np.nan), np.zeros((1, 1))])
def test_any_severity_map_can_be_drawn(values: "np.ndarray", tmp_path: Path) -> None:
    path = tmp_path / "map.png"
    mark = Mark((20.0, 40.0), "boundary", 8.0, ((10.0, 10.0), (30.0, 70.0)))
    draw_severity(np.zeros((128, 128)), severity_map(values), [mark], title="a", path=path)
    assert path.stat().st_size > 0
