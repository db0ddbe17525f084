"""What the ONNX file of an autoencoder may hold."""

from latticewatch.detectors import onnx_checks
from latticewatch.detectors.onnx_checks import MOST_BYTES as MOST_BYTES

OPERATORS = frozenset(
    [
        "Add",
        "Conv",
        "ConvTranspose",
        "Exp",
        "Flatten",
        "Gemm",
        "Identity",
        "Mul",
        "Relu",
        "Reshape",
        "Sigmoid",
    ]
)


def refuse_foreign(content: bytes, where: str) -> None:
    """Refuse an ONNX file that is too large, or holds what our networks do not.

    Raises
    ------
    ModelError
        One line that names what was found and what was expected.
    """
    onnx_checks.refuse_foreign(content, where, OPERATORS)
