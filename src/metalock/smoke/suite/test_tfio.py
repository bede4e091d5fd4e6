"""tensorflow-io: its native library, formats that TensorFlow lacks, and names that tutorials use."""

from __future__ import annotations

import base64
import io
import struct
import warnings
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

PARQUET = (
    "UEFSMRUAFTwVPCwVBhUAFQYVBhwAAAACAAAABgEBAAAAAAAAAAIAAAAAAAAAAwAAAAAAAAAVABU8FTwsFQYVABUGFQYcAAAAAgAAAAYB"
    "AAAAAAAA4D8AAAAAAAD4PwAAAAAAAARAFQIZPDUAGAZzY2hlbWEVBAAVBCUCGAFhABUKJQIYAWIAFgYZHBksJgAcFQQZJQYAGRgBYRUA"
    "FgYWYhZiJghJHBUAFQAVAgA8KQYZJgAGAAAAJgAcFQoZJQYAGRgBYhUAFgYWYhZiJmpJHBUAFQAVAgA8KQYZJgAGAAAAFsQBFgYmCBbE"
    "AQAoIHBhcnF1ZXQtY3BwLWFycm93IHZlcnNpb24gMjYuMC4xGSwcAAAcAAAAsQAAAFBBUjE="
)
"""Three rows of a: int64 and b: float64, uncompressed."""
FEATHER = (
    "RkVBMQAAAAABAAAAAAAAAAIAAAAAAAAAAwAAAAAAAAAAAAAAAADgPwAAAAAAAPg/AAAAAAAABEAUAAAAAAAAAAwAFAAAAAwABAAIAAwA"
    "AAAQAAAAAgAAAAMAAAAAAAAAAgAAAFgAAAAEAAAAuP///wgAAAAcAAAAAQAAAGIAAAAQACQABwAAAAgAEAAAABgAEAAAAAAAAAogAAAA"
    "AAAAAAMAAAAAAAAAGAAAAAAAAAAAAAAACAAMAAQACAAIAAAACAAAABwAAAABAAAAYQAAABAAIAAHAAAACAAQAAAAGAAQAAAAAAAABAgA"
    "AAAAAAAAAwAAAAAAAAAYAAAAAAAAAMgAAABGRUEx"
)
"""The same rows, in Feather's first version."""
SCHEMA = '{"type":"record","name":"row","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"}]}'
MP3_FRAME = bytes([0xFF, 0xFB, 0x90, 0xC4]) + bytes(413)
"""128 kbit/s, 44.1 kHz, one channel, silent."""


def picture() -> Any:
    return np.random.default_rng(5).integers(0, 256, (16, 24, 3), dtype=np.uint8)


def encoded(kind: str, **options: Any) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, kind, **options)
    return buffer.getvalue()


def same_picture(found: Any) -> None:
    pixels = np.asarray(found)
    assert pixels.shape[:2] == (16, 24), f"the image came as {pixels.shape}"
    assert np.array_equal(pixels[..., :3], picture()), "the pixels came back changed"


def sound() -> Any:
    return (np.sin(np.arange(8000) / 10) * 10000).astype(np.int16)[:, None]


@pytest.mark.capability("tfio.import")
def test_import() -> None:
    with warnings.catch_warnings():
        # before TensorFlow, since Keras 2.10 to 2.12 imports tensorflow_io by itself, warnings and all
        warnings.filterwarnings("error", module=r"tensorflow_io(\.|$)")
        import tensorflow_io as tfio

        same_picture(tfio.image.decode_webp(encoded("WEBP", lossless=True)))


@pytest.mark.capability("tfio.version")
def test_version(locked: Dict[str, str]) -> None:
    import tensorflow_io as tfio

    assert tfio.__version__ == locked["tensorflow-io"], f"{tfio.__version__} is imported"


@pytest.mark.capability("tfio.decode-webp")
def test_decode_webp() -> None:
    import tensorflow_io as tfio

    same_picture(tfio.image.decode_webp(encoded("WEBP", lossless=True)))


@pytest.mark.capability("tfio.decode-tiff")
def test_decode_tiff() -> None:
    import tensorflow_io as tfio

    same_picture(tfio.experimental.image.decode_tiff(encoded("TIFF")))


@pytest.mark.capability("tfio.decode-jpeg2000")
def test_decode_jpeg2000() -> None:
    import tensorflow_io as tfio

    same_picture(tfio.experimental.image.decode_jp2(encoded("JPEG2000")))


@pytest.mark.capability("tfio.decode-pnm")
def test_decode_pnm() -> None:
    import tensorflow_io as tfio

    same_picture(tfio.experimental.image.decode_pnm(encoded("PPM")))


@pytest.mark.capability("tfio.image-decode-tiff")
def test_image_decode_tiff() -> None:
    import tensorflow_io as tfio

    same_picture(tfio.image.decode_tiff(encoded("TIFF")))


@pytest.mark.capability("tfio.decode-heic")
def test_decode_heic() -> None:
    import tensorflow_io as tfio

    assert callable(tfio.image.decode_heic), "decode_heic is no function"


@pytest.mark.capability("tfio.tensorflow-decodes-webp")
def test_tensorflow_decodes_webp() -> None:
    import tensorflow as tf

    same_picture(tf.io.decode_image(encoded("WEBP", lossless=True), expand_animations=False))


@pytest.mark.capability("tfio.tensorflow-decodes-tiff")
def test_tensorflow_decodes_tiff() -> None:
    import tensorflow as tf

    same_picture(tf.io.decode_image(encoded("TIFF")))


@pytest.mark.capability("tfio.pillow-decodes")
def test_pillow_decodes() -> None:
    import tensorflow as tf
    from PIL import Image

    def decode(data: bytes) -> Any:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))

    kinds = [encoded("TIFF"), encoded("WEBP", lossless=True), encoded("JPEG2000"), encoded("PPM")]
    dataset = tf.data.Dataset.from_tensor_slices(kinds)
    dataset = dataset.map(lambda data: tf.numpy_function(decode, [data], tf.uint8), num_parallel_calls=2)
    found = list(dataset.as_numpy_iterator())
    assert len(found) == len(kinds), f"{len(found)} images came of {len(kinds)}"
    for image in found:
        same_picture(image)


@pytest.mark.capability("tfio.wav")
def test_wav() -> None:
    import tensorflow as tf
    import tensorflow_io as tfio

    data = tfio.audio.encode_wav(sound(), 8000)
    assert np.array_equal(tfio.audio.decode_wav(data, dtype=tf.int16), sound()), "the samples changed"


@pytest.mark.capability("tfio.tensorflow-wav")
def test_tensorflow_wav() -> None:
    import tensorflow as tf

    samples = sound().astype(np.float32) / 32768
    found, rate = tf.audio.decode_wav(tf.audio.encode_wav(samples, 8000))
    apart = float(np.abs(found - samples).max())
    assert int(rate) == 8000, f"the rate came as {rate}"
    assert apart < 1 / 16384, f"a sample differs by {apart}"


@pytest.mark.capability("tfio.flac")
def test_flac() -> None:
    import tensorflow as tf
    import tensorflow_io as tfio

    data = tfio.audio.encode_flac(sound(), 8000)
    assert data.numpy()[:4] == b"fLaC", f"it begins with {data.numpy()[:4]!r}"
    assert np.array_equal(tfio.audio.decode_flac(data, dtype=tf.int16), sound()), "the samples changed"


@pytest.mark.capability("tfio.decode-mp3")
def test_decode_mp3() -> None:
    import tensorflow_io as tfio

    found = np.asarray(tfio.audio.decode_mp3(MP3_FRAME * 4))
    assert found.shape == (4 * 1152, 1), f"four frames came as {found.shape}"
    assert not found.any(), "silence came as sound"


@pytest.mark.capability("tfio.encode-mp3")
def test_encode_mp3() -> None:
    import tensorflow_io as tfio

    samples = sound().astype(np.float32) / 32768
    data = tfio.audio.encode_mp3(samples, 8000).numpy()
    assert len(tfio.audio.decode_mp3(data)) >= len(samples), "the sound came back shorter"


@pytest.mark.capability("tfio.audio-tensor")
def test_audio_tensor(tmp_path: Path) -> None:
    import tensorflow_io as tfio

    path = tmp_path / "a.wav"
    path.write_bytes(tfio.audio.encode_wav(sound(), 8000).numpy())
    found = tfio.audio.AudioIOTensor(str(path))
    assert int(found.rate) == 8000, f"the rate came as {found.rate}"
    assert np.array_equal(found[1000:2000], sound()[1000:2000]), "a slice of the samples changed"


@pytest.mark.capability("tfio.spectrogram")
def test_spectrogram() -> None:
    import tensorflow_io as tfio

    samples = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000).astype(np.float32)
    found = np.asarray(tfio.audio.spectrogram(samples, nfft=256, window=256, stride=128))
    peak = int(found.mean(axis=0).argmax())
    assert peak == 32, f"a tone of 1000 Hz peaks in bin {peak}, which should be 32"


@pytest.mark.capability("tfio.parquet")
def test_parquet(tmp_path: Path) -> None:
    import tensorflow_io as tfio

    path = tmp_path / "a.parquet"
    path.write_bytes(base64.b64decode(PARQUET))
    rows = [(int(row[b"a"]), float(row[b"b"])) for row in tfio.IODataset.from_parquet(str(path))]
    assert rows == [(1, 0.5), (2, 1.5), (3, 2.5)], f"the rows came as {rows}"


@pytest.mark.capability("tfio.feather")
def test_feather(tmp_path: Path) -> None:
    import tensorflow_io as tfio

    path = tmp_path / "a.feather"
    path.write_bytes(base64.b64decode(FEATHER))
    table = tfio.IOTensor.from_feather(str(path))
    columns = {name: np.asarray(table(name).to_tensor()).tolist() for name in ("a", "b")}
    assert columns == {"a": [1, 2, 3], "b": [0.5, 1.5, 2.5]}, f"the columns came as {columns}"


@pytest.mark.capability("tfio.hdf5")
def test_hdf5(tmp_path: Path) -> None:
    import h5py
    import tensorflow_io as tfio

    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(12).reshape(4, 3)
    rows = [row.numpy().tolist() for row in tfio.IODataset.from_hdf5(str(path), dataset="/x")]
    assert rows == np.arange(12).reshape(4, 3).tolist(), f"the rows came as {rows}"


@pytest.mark.capability("tfio.h5py")
def test_h5py(tmp_path: Path) -> None:
    import h5py
    import tensorflow as tf

    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(12).reshape(4, 3)

    def rows() -> Any:
        with h5py.File(path, "r") as file:
            yield from file["x"]

    dataset = tf.data.Dataset.from_generator(rows, output_signature=tf.TensorSpec((3,), tf.int64))
    found = [row.tolist() for row in dataset.as_numpy_iterator()]
    assert found == np.arange(12).reshape(4, 3).tolist(), f"the rows came as {found}"


@pytest.mark.capability("tfio.csv")
def test_csv(tmp_path: Path) -> None:
    import tensorflow_io as tfio

    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,x\n2,y\n", encoding="utf-8")
    table = tfio.IOTensor.from_csv(str(path))
    columns = [np.asarray(table(name).to_tensor()).tolist() for name in ("a", "b")]
    assert columns == [[1, 2], [b"x", b"y"]], f"the columns came as {columns}"


@pytest.mark.capability("tfio.dataset-from-csv")
def test_dataset_from_csv(tmp_path: Path) -> None:
    import tensorflow_io as tfio

    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,x\n2,y\n", encoding="utf-8")
    assert len(list(tfio.IODataset.from_csv(str(path)))) == 2, "two rows are another number"


@pytest.mark.capability("tfio.tensorflow-csv")
def test_tensorflow_csv(tmp_path: Path) -> None:
    import tensorflow as tf

    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,x\n2,y\n", encoding="utf-8")
    dataset = tf.data.experimental.CsvDataset(str(path), [tf.int64, tf.string], header=True)
    found = list(dataset.as_numpy_iterator())
    assert found == [(1, b"x"), (2, b"y")], f"the rows came as {found}"


@pytest.mark.capability("tfio.json")
def test_json(tmp_path: Path) -> None:
    import tensorflow_io as tfio

    path = tmp_path / "a.json"
    path.write_text('{"a":1,"b":0.5}\n{"a":2,"b":1.5}\n', encoding="utf-8")
    rows = [(int(a), float(b)) for a, b in tfio.IODataset.from_json(str(path))]
    assert rows == [(1, 0.5), (2, 1.5)], f"the rows came as {rows}"


@pytest.mark.capability("tfio.mnist")
def test_mnist(tmp_path: Path) -> None:
    import tensorflow_io as tfio

    (tmp_path / "images").write_bytes(struct.pack(">IIII", 2051, 2, 3, 3) + bytes(range(18)))
    (tmp_path / "labels").write_bytes(struct.pack(">II", 2049, 2) + bytes([7, 8]))
    dataset = tfio.IODataset.from_mnist(str(tmp_path / "images"), str(tmp_path / "labels"))
    found = [(image.numpy().ravel().tolist(), int(label)) for image, label in dataset]
    assert found == [(list(range(9)), 7), (list(range(9, 18)), 8)], f"the digits came as {found}"


@pytest.mark.capability("tfio.pcap")
def test_pcap(tmp_path: Path) -> None:
    import tensorflow_io as tfio

    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    packet = struct.pack("<IIII", 1, 500000, 4, 4) + b"abcd"
    (tmp_path / "a.pcap").write_bytes(header + packet)
    found = [(float(t), data.numpy()) for t, data in tfio.IODataset.from_pcap(str(tmp_path / "a.pcap"))]
    assert found == [(1.5, b"abcd")], f"the packets came as {found}"


def avro_rows() -> Any:
    import tensorflow as tf
    import tensorflow_io as tfio

    columns = [tf.constant([1, 2]), tf.constant(["x", "y"])]
    return tfio.experimental.serialization.encode_avro(columns, schema=SCHEMA)


@pytest.mark.capability("tfio.avro-round-trip")
def test_avro_round_trip() -> None:
    import tensorflow_io as tfio

    found = tfio.experimental.serialization.decode_avro(avro_rows(), schema=SCHEMA)
    columns = (found["a"].numpy().tolist(), found["b"].numpy().tolist())
    assert columns == ([1, 2], [b"x", b"y"]), f"the columns came as {columns}"


@pytest.mark.capability("tfio.encode-avro")
def test_encode_avro() -> None:
    found = [row[:3] for row in avro_rows().numpy()]
    sizes = [len(row) for row in avro_rows().numpy()]
    assert found == [b"\x02\x02x", b"\x04\x02y"], f"the rows begin with {found}"
    assert max(sizes) == 3, f"rows of 3 bytes are longer; the largest has {max(sizes)}"
