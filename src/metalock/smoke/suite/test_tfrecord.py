"""TFRecord files: images written and read back, compressed, in shards, damaged."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np
import pytest

COUNT = 12
SIZE = 8


def images() -> Any:
    return np.random.default_rng(7).integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)


def examples() -> Iterator[bytes]:
    import tensorflow as tf

    for label, image in enumerate(images()):
        png = tf.io.encode_png(image).numpy()
        feature = {
            "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png])),
            "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            "box": tf.train.Feature(float_list=tf.train.FloatList(value=[0.0, 0.25, 0.5, label])),
        }
        yield tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def write(path: Path, records: List[bytes], compression: Optional[str] = None) -> None:
    import tensorflow as tf

    options = tf.io.TFRecordOptions(compression_type=compression) if compression else None
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for record in records:
            writer.write(record)


def parse(record: Any) -> Tuple[Any, Any, Any]:
    import tensorflow as tf

    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "box": tf.io.FixedLenFeature([4], tf.float32),
    }
    found = tf.io.parse_single_example(record, features)
    return tf.io.decode_png(found["image"], channels=3), found["label"], found["box"]


def check(read: List[Tuple[Any, Any, Any]]) -> None:
    labels = [int(label) for _, label, _ in read]
    assert labels == list(range(COUNT)), f"the labels came back as {labels}"
    for image, label, box in read:
        assert np.array_equal(image, images()[label]), f"image {label} came back changed"
        assert list(box) == [0.0, 0.25, 0.5, float(label)], f"box {label} came back as {box}"


def data_loss(path: Path) -> Tuple[int, str]:
    """Return how many records are read before the error, and the error."""
    import tensorflow as tf

    count = 0
    try:
        for _ in tf.data.TFRecordDataset(str(path)):
            count += 1
    except tf.errors.DataLossError as error:
        return count, str(error)
    pytest.fail(f"{count} records are read, and no DataLossError comes")


@pytest.mark.capability("tfrecord.round-trip")
def test_round_trip(tmp_path: Path) -> None:
    import tensorflow as tf

    write(tmp_path / "a.tfrecord", list(examples()))
    dataset = tf.data.TFRecordDataset(str(tmp_path / "a.tfrecord")).map(parse, num_parallel_calls=2)
    check(list(dataset.as_numpy_iterator()))


@pytest.mark.capability("tfrecord.gzip")
def test_gzip(tmp_path: Path) -> None:
    import tensorflow as tf

    records = list(examples())
    write(tmp_path / "a.tfrecord", records)
    write(tmp_path / "a.tfrecord.gz", records, "GZIP")
    plain = gzip.decompress((tmp_path / "a.tfrecord.gz").read_bytes())
    assert plain == (tmp_path / "a.tfrecord").read_bytes(), "gunzip gives another file than the plain one"
    dataset = tf.data.TFRecordDataset(str(tmp_path / "a.tfrecord.gz"), compression_type="GZIP").map(parse)
    check(list(dataset.as_numpy_iterator()))


@pytest.mark.capability("tfrecord.shards")
def test_shards(tmp_path: Path) -> None:
    import tensorflow as tf

    records = list(examples())
    for shard in range(3):
        write(tmp_path / f"part-{shard}.tfrecord", records[shard::3])
    names = tf.data.Dataset.list_files(str(tmp_path / "part-*.tfrecord"), shuffle=False)
    dataset = names.interleave(
        tf.data.TFRecordDataset, cycle_length=3, block_length=1, num_parallel_calls=3, deterministic=True
    )
    check(list(dataset.map(parse).as_numpy_iterator()))


@pytest.mark.capability("tfrecord.corrupted")
def test_corrupted(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    records = list(examples())
    write(path, records)
    data = bytearray(path.read_bytes())
    third = sum(len(record) + 16 for record in records[:2]) + 12  # 12 bytes before a record, 4 after
    data[third + len(records[2]) // 2] ^= 0xFF
    path.write_bytes(data)
    count, error = data_loss(path)
    assert count == 2, f"{count} records came before the damaged third one"
    assert f"corrupted record at {third}" in error, f"the error doesn't name byte {third}: {error}"


@pytest.mark.capability("tfrecord.truncated")
def test_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    write(path, list(examples()))
    path.write_bytes(path.read_bytes()[:-5])
    count, error = data_loss(path)
    assert count == COUNT - 1, f"{count} of {COUNT - 1} whole records came"
    assert "truncated record" in error, error


@pytest.mark.capability("tfrecord.compression-not-said")
def test_compression_not_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord.gz"
    write(path, list(examples()), "GZIP")
    count, error = data_loss(path)
    assert count == 0, f"{count} records came of a compressed file that is read as plain"
    assert "corrupted record at 0" in error, error
