"""Writes ONNX's cases of single nodes as files, as its older packages brought them: a model and data sets for each.

    python scripts/onnx_node_cases.py FOLDER
"""

import pathlib
import sys
import warnings

import numpy as np
import onnx
import onnx.backend.test.case.node as cases
from onnx import numpy_helper

MAKERS = {"map_type": numpy_helper.from_dict, "sequence_type": numpy_helper.from_list, "optional_type": numpy_helper.from_optional}


def proto(value, info):
    """A value of a case as the message that stands in its file."""
    if isinstance(value, onnx.TensorProto):
        return value
    kind = info.type.WhichOneof("value")
    return MAKERS[kind](value, info.name) if kind in MAKERS else numpy_helper.from_array(np.asarray(value), info.name)


def main():
    folder = pathlib.Path(sys.argv[1])
    warnings.simplefilter("ignore")
    count = 0
    for case in cases.collect_testcases():
        place = folder / case.name
        place.mkdir(parents=True, exist_ok=True)
        (place / "model.onnx").write_bytes(case.model.SerializeToString())
        for i, data in enumerate(case.data_sets):
            (place / f"test_data_set_{i}").mkdir(exist_ok=True)
            for what, values, infos in zip(("input", "output"), data, (case.model.graph.input, case.model.graph.output)):
                for j, value in enumerate(values):
                    (place / f"test_data_set_{i}" / f"{what}_{j}.pb").write_bytes(proto(value, infos[j]).SerializeToString())
        count += 1
    print(f"{count} cases in {folder}")


if __name__ == "__main__":
    main()
