"""Several p-values of one site to one."""

import numpy as np
from numpy.typing import NDArray


def bonferroni(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest p-value of each site times their number, at most 1.

    Valid however the statistics depend on each other, and one that cannot see a defect costs the
    others no more than that factor.

    Parameters
    ----------
    p_values : (D, N)
        One row per statistic. A NaN in a column makes its result NaN.

    Examples
    --------
    >>> bonferroni(np.array([[0.01, 0.9], [0.5, 0.8]])).tolist()
    [0.02, 1.0]
    """
    result: NDArray[np.float64] = np.minimum(p_values.min(axis=0) * len(p_values), 1.0)
    return result
