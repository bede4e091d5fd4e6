"""What the tests of the suite are given."""

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
    """The GPUs that TensorFlow lists and that can compute: none of a virtual Mac's."""
    import tensorflow as tf

    return [] if is_virtual_mac() else list(tf.config.list_physical_devices("GPU"))


@pytest.fixture(scope="session", autouse=True)
def on_cpu_in_a_virtual_mac() -> None:
    """Where a GPU is listed that can't compute, everything by default would be placed on it."""
    if is_virtual_mac():
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")


@pytest.fixture(scope="session", autouse=True)
def logical_cpus() -> List[str]:
    """The names of as many as METALOCK_LOGICAL_CPUS asks for, made before TensorFlow computes anything."""
    count = int(os.environ.get("METALOCK_LOGICAL_CPUS", "0"))
    if count:
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        wanted = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
        tf.config.set_logical_device_configuration(cpu, wanted)
    return [f"/CPU:{number}" for number in range(count)]


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """Write down what was measured: a name with its unit, such as `images_per_second`, and a value."""
    plugins = request.config.pluginmanager.get_plugins()
    recorder = next(plugin for plugin in plugins if isinstance(plugin, Recorder))

    def record(name: str, value: object) -> None:
        recorder.emit("value", name=key_of(request.node), key=name, value=value)

    return record


@pytest.fixture(scope="session")
def locked() -> Dict[str, str]:
    """Version by normalized name of every distribution that the lock puts there."""
    versions: Dict[str, str] = json.loads(os.environ["METALOCK_LOCKED"])
    return versions


@pytest.fixture
def device_name(device: str) -> str:
    """`/CPU:0` or `/GPU:0`, for a test that is parametrized by `device`; skips where there is no GPU."""
    if device == "gpu" and not gpus():
        pytest.skip(NO_GPU)
    return f"/{device.upper()}:0"
