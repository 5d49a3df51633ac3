"""classykit.extracting.feature_shard: one shard of features, as it is written."""

import json

import numpy as np
import pytest

from classykit.errors import ConfigError, ShapeError
from classykit.extracting.extraction import Extraction
from classykit.extracting.feature_layout import FeatureLayout
from classykit.extracting.feature_shard import Shard, label_type
from classykit.extracting.feature_source import ItemInfo, Skipped
from classykit.extracting.feature_store import Store


@pytest.fixture
def shard(tmp_path):
    """Builds the second shard, images 3 to 5, of five: ``shard(reduce, label)``."""

    def make(reduce, label="float"):
        layout = FeatureLayout((2,), "float32")
        manifest = {"images": 5, "shard_size": 3, "reduce": reduce, "label": label, "features": {"b": layout.to_dict()}}
        store = Store(tmp_path, manifest)
        store.create()
        return Shard(store, 1)

    return make


def features(*rows):
    return {"b": np.array(rows, np.float32)}


@pytest.mark.parametrize("reduce", ["mean", None])
def test_rows_are_there_once_it_is_finished_and_not_before(reduce, shard, tmp_path):
    new = shard(reduce)
    new.add([ItemInfo(3, "three", 1)], features([1, 2]))
    new.skip([Skipped(4, "four", "damaged")])
    assert Extraction(tmp_path).done == 0
    new.finish()
    found = Extraction(tmp_path)
    assert (found.done, len(found), found.skipped) == (2, 1, [Skipped(4, "four", "damaged")])
    table = found.to_pandas()
    assert list(table["index"]) == [3] and list(table["id"]) == ["three"] and list(table["label"]) == [1.0]
    if reduce:
        assert found.array().tolist() == [[1, 2]]
    else:
        assert found.array()[3].tolist() == [1, 2] and np.isnan(found.array()[4]).all()


def test_what_is_pooled_is_kept_when_the_model_uses_its_memory_again(shard, tmp_path):
    new, output = shard("mean"), np.ones((1, 2), np.float32)
    for index in (3, 4):
        new.add([ItemInfo(index, str(index), 0.5)], {"b": output})
        output += 1
    new.finish()
    assert Extraction(tmp_path).array().tolist() == [[1, 1], [2, 2]]


def test_the_note_of_whole_features_names_the_images(shard):
    new = shard(None)
    new.add([ItemInfo(3, "three", 2), ItemInfo(4, "four")], features([1, 2], [3, 4]))
    new.finish()
    note = json.loads(new.store.note_of(1).read_text())
    ((name, size, _, _),) = note.pop("files")
    assert (new.store.path / name).stat().st_size == size
    assert note == {"images": 2, "skipped": [], "rows": [[3, "three", 2.0], [4, "four", None]]}


@pytest.mark.parametrize("reduce, cure", [("mean", "one size."), (None, 'one size, or pool them with reduce="mean".')])
def test_another_shape_is_refused(reduce, cure, shard):
    with pytest.raises(ShapeError, match=r"'b' gives \(3,\) for image 3 \(three\), and \(2,\) for the first") as error:
        shard(reduce).add([ItemInfo(3, "three")], features([1, 2, 3]))
    assert str(error.value).endswith(cure)


@pytest.mark.parametrize("kind, label", [("int", 1.5), ("int", "one"), ("float", "one"), ("str", 1), (None, 1)])
def test_a_label_of_another_type_is_refused(kind, label, shard):
    with pytest.raises(
        ConfigError, match=rf"Image 3 \(three\) has the label {label!r}.* {kind or 'none'}: give labels"
    ):
        shard("mean", kind).add([ItemInfo(3, "three", label)], features([1, 2]))


@pytest.mark.parametrize("label, kind", [(3, "int"), (0.5, "float"), ("a", "str"), (None, None), ([1], None)])
def test_types_of_labels(label, kind):
    assert label_type(label) == kind
