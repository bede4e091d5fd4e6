"""The model files of earlier versions, from `models/`, and new models like them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, Tuple

import numpy as np

MODELS = Path(__file__).parent / "models"


def unpacked(version: str, folder: Path) -> Path:
    """Unpack what that TensorFlow wrote: `dense` (also as SavedModel), `image`, `sequence`, `lambda`…"""
    into = folder / version
    with zipfile.ZipFile(MODELS / f"tf{version}.zip") as archive:
        archive.extractall(into)
    return into


def known(folder: Path, name: str) -> Tuple[Any, Any]:
    """Return the inputs, and what the model predicted for them when it was saved."""
    found = json.loads((folder / "known.json").read_text(encoding="utf-8"))[name]
    return np.array(found["inputs"], np.float32), np.array(found["outputs"], np.float32)


def check_predictions(found: Any, expected: Any, what: str) -> None:
    found = np.asarray(found)
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, not {expected.shape}"
    error = float(np.abs(found - expected).max())
    assert error < 1e-5, f"{what}: predictions are off by {error:.3g}"


def check_file(folder: Path, file: str, load: Any) -> Any:
    """Load a file, compare its predictions with those at saving, and return the model."""
    model = load(str(folder / file))
    inputs, outputs = known(folder, file.split(".", maxsplit=1)[0])
    check_predictions(predicted(model, inputs), outputs, f"{file} of {folder.name}")
    return model


def trained_model(keras: Any, *, by_fit: bool = False) -> Tuple[Any, Any, Any]:
    """Return a compiled model after three steps with Adam, its inputs and its targets.

    The graph that `fit` makes takes longer than all else, so it is made only where saving depends on it:
    Keras 2.12 exports a model that was trained without one, and none that has one.
    """
    x = np.random.RandomState(0).standard_normal((8, 3)).astype(np.float32)
    y = x[:, :1] - x[:, 1:2]
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    if by_fit:
        model.fit(x, y, epochs=3, batch_size=8, shuffle=False, verbose=0)
        return model, x, y
    train_eagerly(model, x, y, steps=3)
    return model, x, y


def train_eagerly(model: Any, x: Any, y: Any, steps: int) -> None:
    """Train as many steps as `fit` would, without the graph that it makes first."""
    before = model.run_eagerly
    model.run_eagerly = True
    for _ in range(steps):
        model.train_on_batch(x, y)
    model.run_eagerly = before


def predicted(model: Any, x: Any) -> Any:
    """Return what `predict` gives, without the graph that it makes first."""
    return np.asarray(model(x, training=False))


def check_continues(model: Any, again: Any, x: Any, y: Any) -> None:
    """Check that the loaded model trains on as the saved one does: optimizer, its state, the loss."""
    optimizer = getattr(again, "optimizer", None)
    assert optimizer is not None, "the optimizer did not come back"
    name = type(optimizer).__name__
    assert name == "Adam", f"the optimizer came back as {name}"
    steps = int(optimizer.iterations.numpy())
    assert steps == 3, f"the optimizer came back with {steps} steps of 3"
    again.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0)
    train_eagerly(model, x, y, steps=2)
    check_predictions(predicted(again, x), predicted(model, x), "after two more steps")
