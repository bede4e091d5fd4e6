"""The environment itself: TensorFlow imports, and is the one that was locked."""

from __future__ import annotations

from typing import Dict

import pytest
from suite_fixtures import Measure


@pytest.mark.capability("environment.import")
def test_import() -> None:
    import tensorflow as tf

    assert float(tf.reduce_sum(tf.constant([1.0, 2.0]))) == 3.0, "1 + 2 is not 3"


@pytest.mark.capability("environment.versions")
def test_versions(locked: Dict[str, str], measure: Measure) -> None:
    import keras
    import numpy as np
    import tensorflow as tf

    wanted = {
        "tensorflow": locked.get("tensorflow-macos", locked.get("tensorflow")),
        "keras": locked["keras"],
        "numpy": locked["numpy"],
    }
    found = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    for name, version in found.items():
        measure(name, version)
    assert found == wanted, f"imported {found}, locked {wanted}"
