"""Files that hold what our networks do not are refused before a runtime sees them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.vae.graph import MOST_BYTES, refuse_foreign
from support.vae_models import flat_network

onnx = pytest.importorskip("onnx")
Message = Any  # of onnx, which has no types


def refusal_of(content: bytes) -> str:
    with pytest.raises(ModelError) as refusal:
        refuse_foreign(content, "my.model")
    message = str(refusal.value)
    assert message.startswith("my.model: ")
    assert "\n" not in message
    return message


def changed(change: object) -> bytes:
    """Bytes of our network after a change of the message."""
    model = onnx.load_from_string(flat_network())
    change(model)  # type: ignore[operator] # a function of the message
    written: bytes = model.SerializeToString()
    return written


def test_our_networks_pass() -> None:
    refuse_foreign(flat_network(), "my.model")


def test_too_large_file_is_refused_with_both_sizes() -> None:
    message = refusal_of(b"\0" * (MOST_BYTES + 1))
    assert str(MOST_BYTES) in message
    assert str(MOST_BYTES + 1) in message


@pytest.mark.parametrize("content", [b"", b"not onnx at all", b"\x08"])
def test_what_is_no_onnx_is_refused(content: bytes) -> None:
    assert "no ONNX file" in refusal_of(content)


def test_cut_off_file_is_refused() -> None:
    assert "no ONNX file" in refusal_of(flat_network()[:-7])


def test_numbers_in_another_file_are_refused() -> None:
    def move_out(model: Message) -> None:
        tensor = model.graph.initializer[0]
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "weights.bin"

    assert "in another file" in refusal_of(changed(move_out))


def test_unknown_operator_is_named() -> None:
    def loop(model: Message) -> None:
        model.graph.node[0].op_type = "Loop"

    assert "'Loop'" in refusal_of(changed(loop))


def test_operators_of_others_are_refused() -> None:
    def foreign(model: Message) -> None:
        model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))

    assert "com.example" in refusal_of(changed(foreign))


def test_domain_of_a_node_is_looked_at() -> None:
    def foreign(model: Message) -> None:
        model.graph.node[1].domain = "com.example"

    assert "com.example" in refusal_of(changed(foreign))


def test_unknown_opset_is_refused() -> None:
    def later(model: Message) -> None:
        model.opset_import[0].version = 99

    assert "opset 99" in refusal_of(changed(later))


def verdict_of(content: bytes) -> str:
    """What the refusal says, or nothing."""
    try:
        refuse_foreign(content, "my.model")
    except ModelError as error:
        return str(error)
    return ""


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_verdict(content: bytes) -> None:
    assert verdict_of(content).startswith("my.model: ")


@given(st.integers(0, 2**31), st.integers(0, 255))
def test_any_changed_byte_ends_in_a_verdict(place: int, value: int) -> None:
    content = bytearray(flat_network())
    content[place % len(content)] = value
    assert "\n" not in verdict_of(bytes(content))
