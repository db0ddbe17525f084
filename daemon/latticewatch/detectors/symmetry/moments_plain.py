"""Second moments of filter responses, in plain numpy: slow, until the kernel takes over."""

import numpy as np
from numpy.typing import NDArray

BLOCK_PX = 8


def second_moments(
    image: NDArray[np.float32], bank: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Sums of r_i r_j over 16-px boxes on an 8-px grid."""
    side = int(np.sqrt(bank.shape[1]))
    half = side // 2
    n_rows, n_columns = image.shape[0] // BLOCK_PX, image.shape[1] // BLOCK_PX
    padded = np.pad(image, half, mode="reflect")
    first, second = np.triu_indices(len(bank))
    blocks = np.empty((n_rows, n_columns, len(first)), np.float32)
    for row in range(n_rows):
        strip = padded[row * BLOCK_PX : (row + 1) * BLOCK_PX + 2 * half, : n_columns * 8 + 2 * half]
        windows = np.lib.stride_tricks.sliding_window_view(strip, (side, side))
        flat = np.ascontiguousarray(windows).reshape(-1, side * side)
        response = (flat @ bank.T).reshape(BLOCK_PX, n_columns, BLOCK_PX, len(bank))
        grouped = np.ascontiguousarray(response.transpose(1, 0, 2, 3)).reshape(
            n_columns, BLOCK_PX**2, len(bank)
        )
        products = np.matmul(grouped.transpose(0, 2, 1), grouped)
        blocks[row] = products[:, first, second]
    out[:] = blocks[:-1, :-1] + blocks[1:, :-1] + blocks[:-1, 1:] + blocks[1:, 1:]
