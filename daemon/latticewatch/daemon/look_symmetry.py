"""The symmetry maps in the pipeline: a map of each frame, and the lines and patches in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.model_trust import ModelTrust
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Budget, Looker, Picture, Scene, Sight
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.daemon.symmetry_findings import DrawnSegment, symmetry_findings
from latticewatch.daemon.symmetry_gate import SegmentGate
from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.symmetry.model import DETECTOR, SymmetryModel
from latticewatch.detectors.symmetry.score import SymmetryDetector, SymmetryMap
from latticewatch.detectors.symmetry.segments import find_segments
