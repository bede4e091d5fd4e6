"""Which devices there are, and where an operation runs."""

from __future__ import annotations

import ctypes
import platform
import sys
from importlib import metadata
from typing import Any, Dict, Iterator, List

import pytest
from host import is_virtual_mac
from suite_fixtures import NO_GPU, Measure, gpus

DEVICES = pytest.mark.parametrize("device", ["cpu", "gpu"])


def loaded_libraries() -> List[str]:
    """Return the libraries that macOS has loaded into this process."""
    library = ctypes.CDLL(None)
    name_of, count = library["_dyld_get_image_name"], library["_dyld_image_count"]
    name_of.restype = ctypes.c_char_p
    return [name_of(index).decode() for index in range(count())]


def product_under(name: str) -> Any:
    """Compute a matrix product on the device with that name."""
    import tensorflow as tf

    with tf.device(name):
        return tf.matmul(tf.fill([2, 3], 2.0), tf.fill([3, 2], 5.0))


@pytest.fixture
def missing_gpu() -> Iterator[str]:
    """Return the name of a GPU that this machine does not have; placement is restored afterwards."""
    import tensorflow as tf

    before = tf.config.get_soft_device_placement()
    yield f"/GPU:{len(gpus())}"
    tf.config.set_soft_device_placement(before)


@pytest.mark.capability("devices.cpu-listed")
def test_cpu_listed() -> None:
    import tensorflow as tf

    kinds = [device.device_type for device in tf.config.list_physical_devices()]
    assert kinds.count("CPU") == 1, f"devices listed: {kinds}"
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert names == ["/device:CPU:0"], f"logical devices: {names}"


@pytest.mark.capability("devices.gpu-listed")
def test_gpu_listed(locked: Dict[str, str], measure: Measure) -> None:
    import tensorflow as tf

    found = gpus()
    if not found:
        mac = platform.machine() == "arm64" and "tensorflow-metal" in locked
        assert not mac or is_virtual_mac(), "an Apple GPU, tensorflow-metal, and no GPU listed"
        pytest.skip(NO_GPU)
    measure("gpu_count", len(found))
    names = [device.name for device in tf.config.list_logical_devices("GPU")]
    assert names[: len(found)] == [f"/device:GPU:{index}" for index in range(len(found))], f"{names}"
    assert tf.test.gpu_device_name() == "/device:GPU:0", f"gpu_device_name {tf.test.gpu_device_name()!r}"


@pytest.mark.capability("devices.placed")
@DEVICES
def test_placed(device_name: str) -> None:
    import tensorflow as tf

    kind = device_name[1:]
    for mode, call in (("eager", product_under), ("graph", tf.function(product_under))):
        found = call(device_name)
        assert (found.numpy() == 30.0).all(), f"{mode}: {found.numpy()}"
        for name in (found.device, found.backing_device):
            assert name.endswith(f"/device:{kind}"), f"{mode}: ran on {name}, not {kind}"


@pytest.mark.capability("devices.default")
def test_default() -> None:
    import tensorflow as tf

    wanted = "GPU:0" if gpus() else "CPU:0"
    found = tf.matmul(tf.ones([2, 2]), tf.ones([2, 2]))
    assert found.device.endswith(wanted), f"ran on {found.device}, not {wanted}"


@pytest.mark.capability("devices.soft-placement")
def test_soft_placement(missing_gpu: str) -> None:
    import tensorflow as tf

    assert tf.config.get_soft_device_placement(), "soft placement is not the default"
    there = [device.name for device in tf.config.list_logical_devices()]
    for call in (product_under, tf.function(product_under)):
        found = call(missing_gpu)
        assert (found.numpy() == 30.0).all(), f"{found.numpy()}"
        place = found.device.split("/task:0")[-1]
        assert place in there, f"{missing_gpu} ran on {place}"


@pytest.mark.capability("devices.hard-placement")
def test_hard_placement(missing_gpu: str) -> None:
    import tensorflow as tf

    tf.config.set_soft_device_placement(False)
    refused = tf.errors.InvalidArgumentError
    with pytest.raises(refused, match=r"Could not satisfy device specification '/job:\S*/device:GPU:"):
        product_under(missing_gpu)
    in_graph = tf.function(product_under)
    with pytest.raises(refused, match=r"Unable to find any devices for spec|Cannot assign a device"):
        in_graph(missing_gpu)
    assert (product_under("/CPU:0").numpy() == 30.0).all(), "the CPU is refused too"


@pytest.mark.capability("devices.memory-growth")
def test_memory_growth() -> None:
    import tensorflow as tf

    found = gpus()
    for gpu in found:
        tf.config.experimental.set_memory_growth(gpu, enable=True)
    assert (product_under("/GPU:0").numpy() == 30.0).all(), "wrong product"
    for gpu in found:
        assert tf.config.experimental.get_memory_growth(gpu), f"{gpu.name} doesn't grow"


@pytest.mark.capability("devices.memory-growth-late")
def test_memory_growth_late() -> None:
    import tensorflow as tf

    found = gpus()
    if not found:
        pytest.skip(NO_GPU)
    product_under("/GPU:0")
    grows = tf.config.experimental.get_memory_growth(found[0])
    with pytest.raises(RuntimeError, match="cannot be modified after being initialized"):
        tf.config.experimental.set_memory_growth(found[0], not grows)


@pytest.mark.capability("devices.memory-growth-cpu")
def test_memory_growth_cpu() -> None:
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    with pytest.raises(ValueError, match="Cannot set memory growth on non-GPU"):
        tf.config.experimental.set_memory_growth(cpu, enable=True)


@pytest.mark.capability("devices.split-late")
def test_split_late() -> None:
    import tensorflow as tf

    product_under("/CPU:0")
    (cpu,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    with pytest.raises(RuntimeError, match="cannot be modified after being initialized"):
        tf.config.set_logical_device_configuration(cpu, halves)


@pytest.mark.capability("devices.hide-gpu")
def test_hide_gpu() -> None:
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    assert tf.config.list_logical_devices("GPU") == [], "a GPU is still there"
    found = tf.matmul(tf.ones([2, 2]), tf.ones([2, 2]))
    assert found.device.endswith("CPU:0"), f"ran on {found.device}"


@pytest.mark.capability("devices.metal-version")
def test_metal_version(locked: Dict[str, str], measure: Measure) -> None:
    found = metadata.version("tensorflow-metal")
    measure("tensorflow_metal_version", found)
    assert found == locked["tensorflow-metal"], f"found {found}, locked {locked['tensorflow-metal']}"


@pytest.mark.capability("devices.metal-loaded")
def test_metal_loaded() -> None:
    import tensorflow as tf

    assert sys.platform == "darwin", f"tensorflow-metal on {sys.platform}"
    found = [name for name in loaded_libraries() if name.endswith("libmetal_plugin.dylib")]
    assert len(found) == 1, f"TensorFlow {tf.__version__} has loaded {found} of tensorflow-metal"
