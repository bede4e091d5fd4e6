"""Fixtures for the tests of the suite."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict, List

import pytest
from host import is_virtual_mac
from recorder import Recorder, key_of

Measure = Callable[[str, object], None]
NO_GPU = "this machine shows TensorFlow no GPU that computes"


def gpus() -> List[Any]:
    """Return the GPUs that TensorFlow lists and that can compute; those of a virtual Mac cannot."""
    import tensorflow as tf

    return [] if is_virtual_mac() else list(tf.config.list_physical_devices("GPU"))


@pytest.fixture(scope="session", autouse=True)
def on_cpu_in_a_virtual_mac() -> None:
    """Hide a GPU that cannot compute, since TensorFlow would place everything on it."""
    if is_virtual_mac():
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")


@pytest.fixture(scope="session", autouse=True)
def logical_cpus() -> List[str]:
    """Make as many as METALOCK_LOGICAL_CPUS says, before TensorFlow computes, and return their names."""
    count = int(os.environ.get("METALOCK_LOGICAL_CPUS", "0"))
    if count:
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        wanted = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
        tf.config.set_logical_device_configuration(cpu, wanted)
    return [f"/CPU:{number}" for number in range(count)]


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """Return a function that records a measured value, by a name with its unit: `images_per_second`."""
    plugins = request.config.pluginmanager.get_plugins()
    recorder = next(plugin for plugin in plugins if isinstance(plugin, Recorder))

    def record(name: str, value: object) -> None:
        recorder.emit("value", name=key_of(request.node), key=name, value=value)

    return record


@pytest.fixture(scope="session")
def locked() -> Dict[str, str]:
    """Return the version of every locked distribution, by normalized name."""
    versions: Dict[str, str] = json.loads(os.environ["METALOCK_LOCKED"])
    return versions


@pytest.fixture
def device_name(device: str) -> str:
    """Return `/CPU:0` or `/GPU:0` for the parameter `device`; skip the test if there is no GPU."""
    if device == "gpu" and not gpus():
        pytest.skip(NO_GPU)
    return f"/{device.upper()}:0"
