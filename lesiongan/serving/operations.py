"""What a SavedModel says of itself before it is loaded: the operations in it, and whether its record is its own.

A SavedModel is a program. TensorFlow has operations that write files (`WriteFile`, `SaveV2`, `PrintV2`), read them
(`ReadFile`, data sets, lookup tables) or call Python (`PyFunc`), and some functions run while a model is loaded. The
models of this project need none of them, apart from the two functions by which TensorFlow saves and restores variables;
so a model that has others is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lesiongan.base.errors import UsageError
from lesiongan.data.taxonomy import Taxonomy

_FILE = "saved_model.pb"
#: Other forms of it, of which TensorFlow may read one in its place.
_OTHER_FORMS = ("saved_model.cpb", "saved_model.pbtxt")
#: Operations with a state (all that touch anything outside of the graph are such) that do no more than hold variables,
#: call functions, check and draw numbers.
_STATEFUL = frozenset(
    {"VarHandleOp", "ReadVariableOp", "AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"}
    | {"DisableCopyOnRead", "VarIsInitializedOp", "ResourceGather", "ResourceGatherNd"}
    | {"StatefulPartitionedCall", "If", "While", "Case", "Assert", "Placeholder", "NoOp"}
    | {"RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal", "Multinomial", "RandomShuffle"}
)
#: And those without one that read a file or the memory, end the process or call Python all the same.
_STATELESS = re.compile(
    r"Abort|Debug|Dataset|File|ImmutableConst|Iterator|^Copy(Host)?$|PyFunc|Reader|Restore|Save|Summary|Vocab|XlaCustomCall"
)
#: What TensorFlow's own functions do that save and restore the variables.
_OF_CHECKPOINTS = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"})
#: How the signatures of each kind begin, those of version 0.1 too.
_VERBS = {"classifier": ("classify", "predict"), "cyclegan": ("translate",), "acgan": ("generate", "sample")}


def check(place: Path, record: Mapping[str, Any]) -> None:
    """Looks at a SavedModel without loading it.

    Args:
        place: its folder.
        record: the content of `model.json`.

    Raises:
        UsageError: it has an operation that touches files or runs code, it cannot be read, or the record speaks of
            another kind, size or other classes than the model itself.
    """
    graph = _graph(place)
    forbidden = sorted(set(_forbidden(graph)))
    if forbidden:
        raise UsageError(
            f"{place}: the model holds operations that touch files or run code ({', '.join(forbidden[:4])}); it is not "
            "one that lesiongan exports, and is not loaded"
        )
    _check_record(place, graph, record)


def _graph(place: Path) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    others = [name for name in _OTHER_FORMS if (place / name).exists()]
    if others or not (place / _FILE).is_file():
        raise UsageError(f"{place}: {others[0] if others else f'no {_FILE}'} there; export the model again")
    content = saved_model_pb2.SavedModel()
    try:
        content.ParseFromString((place / _FILE).read_bytes())
    except DecodeError:
        raise UsageError(f"{place}: the model is damaged ({_FILE} cannot be read); export it again") from None
    if len(content.meta_graphs) != 1:
        raise UsageError(f"{place}: {len(content.meta_graphs)} graphs in {_FILE}, not one; export the model again")
    return content.meta_graphs[0]


def _forbidden(graph: Any) -> Iterator[str]:
    """The operations that may not be there, of the whole graph and all functions, whether something calls them or
    not."""
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    saver = {name.partition(":")[0] for name in (graph.saver_def.save_tensor_name, graph.saver_def.restore_op_name)}
    savers = [node for node in graph.graph_def.node if node.name in saver]
    others = [node for node in graph.graph_def.node if node.name not in saver]
    started = {*graph.object_graph_def.concrete_functions, *_called(others)}
    started |= {gradient.gradient_func for gradient in graph.graph_def.library.gradient}
    # Only what the saver alone can reach may save and restore: nothing else calls it when a model answers or is loaded.
    of_saver = _reached(_called(savers), functions) - _reached(started, functions)
    yield from _of_nodes(graph.graph_def.node, ())
    for name, function in functions.items():
        yield from _of_nodes(function.node_def, _OF_CHECKPOINTS if name in of_saver else ())


def _of_nodes(nodes: Iterable[Any], allowed: Collection[str]) -> Iterator[str]:
    from tensorflow.python.framework import op_def_registry  # no public name tells whether one has a state

    for name in dict.fromkeys(node.op for node in nodes):
        if name in allowed:
            continue
        known = op_def_registry.get(name)
        if known is None or (name not in _STATEFUL if known.is_stateful else _STATELESS.search(name)):
            yield name


def _called(nodes: Iterable[Any]) -> set[str]:
    """The functions that operations name in their attributes."""
    found = set()
    for node in nodes:
        found.add(node.op)
        for value in node.attr.values():
            found |= {value.func.name, *(each.name for each in value.list.func)}
    return found


def _reached(begin: Iterable[str], functions: Mapping[str, Any]) -> set[str]:
    reached: set[str] = set()
    waiting = [name for name in begin if name in functions]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [each for each in _called(functions[name].node_def) if each in functions]
    return reached


def _check_record(place: Path, graph: Any, record: Mapping[str, Any]) -> None:
    """A record has a digest of itself, but anyone can write one: it has to fit the model too."""
    kind, size, classes = record["kind"], record["size"], Taxonomy.from_dict(record["taxonomy"]).classes
    signatures = sorted(name for name in graph.signature_def if not name.startswith("__"))
    fault = ""
    if not any(name.startswith(_VERBS.get(kind, ())) for name in signatures):
        fault = f"kind {kind}, the model answers to {', '.join(signatures)}"
    sizes = set(_sizes(graph))
    if not fault and sizes and size not in sizes:
        fault = f"size {size}, the model has {', '.join(map(str, sorted(sizes)))} pixels"
    lists = _lists_of_names(graph)
    if not fault and lists and classes not in lists:
        fault = f"classes {', '.join(classes)}, the model has {', '.join(lists[0])}"
    for signature in graph.signature_def.values() if kind == "classifier" and not fault else ():
        shape = [dim.size for dim in signature.outputs["probabilities"].tensor_shape.dim]
        if len(shape) == 2 and shape[1] not in (-1, len(classes)):
            fault = f"{len(classes)} classes, the model has {shape[1]}"
    if fault:
        raise UsageError(f"{place}: its record says {fault}; export the model again")


def _sizes(graph: Any) -> Iterator[int]:
    """Sides in pixels of the squares that functions take or signatures give, where the model says them."""
    shapes = [
        [dim.size for dim in output.tensor_shape.dim]
        for signature in graph.signature_def.values()
        for output in signature.outputs.values()
    ]
    for function in graph.object_graph_def.concrete_functions.values():
        shapes += _shapes_of(function.canonicalized_input_signature)
    for shape in shapes:
        if len(shape) == 4 and shape[3] == 3 and shape[1] == shape[2] > 0:
            yield shape[1]


def _shapes_of(value: Any) -> list[list[int]]:
    kind = value.WhichOneof("kind")
    if kind == "tensor_spec_value":
        return [[dim.size for dim in value.tensor_spec_value.shape.dim]]
    if kind == "tuple_value":
        return [shape for each in value.tuple_value.values for shape in _shapes_of(each)]
    if kind == "dict_value":
        return [shape for each in value.dict_value.fields.values() for shape in _shapes_of(each)]
    return []


def _lists_of_names(graph: Any) -> list[tuple[str, ...]]:
    """The constants of the shape `[1, k]` of strings: the classes that a classifier names and an ACGAN is asked for."""
    found = []
    for function in graph.graph_def.library.function:
        for node in function.node_def:
            if node.op == "Const" and len(node.attr["value"].tensor.tensor_shape.dim) == 2:
                tensor = node.attr["value"].tensor
                names = tuple(value.decode(errors="replace") for value in tensor.string_val)
                if tensor.tensor_shape.dim[0].size == 1 and len(names) == tensor.tensor_shape.dim[1].size:
                    found.append(names)
    return found
