"""The files of a SavedModel, the same whenever the same model is saved.

TensorFlow numbers its functions through a process, so that a resumed training gives other names than one in a single
go; writes the entries of maps in an order of chance; and leaves a fingerprint with a random number that nothing reads.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

_NUMBERED = re.compile(r"(.*)_(\d+)")
_GRADIENT = re.compile(r"((?:Stateful)?PartitionedCall|CustomGradient)-\d+")  # numbered too; loading numbers anew
_UNUSED = re.compile(r"_\d+(___redundant_placeholder\d+)")  # arguments of a loop's condition, named after it
_CAPTURED = "_user_specified_name"  # of an argument that nobody has named: its address


def settle(folder: Path) -> None:
    """Rewrites the SavedModel in a folder."""
    path = folder / "saved_model.pb"
    content = saved_model_pb2.SavedModel()
    content.ParseFromString(path.read_bytes())
    for graph in content.meta_graphs:
        library = graph.graph_def.library
        names = _names([function.signature.name for function in library.function])
        # sorted first: gradients are counted in this order
        library.function.sort(key=lambda function: names.get(function.signature.name, function.signature.name))
        _rename(graph, names)
        library.gradient.sort(key=lambda gradient: gradient.function_name)
    path.write_bytes(content.SerializeToString(deterministic=True))
    (folder / "fingerprint.pb").unlink(missing_ok=True)


def _names(old: list[str]) -> dict[str, str]:
    """Old -> new: functions of one name are counted from 0, in the order in which they were made."""
    counts: dict[str, int] = {}
    names = {}
    for match in sorted(filter(None, map(_NUMBERED.fullmatch, old)), key=lambda match: int(match[2])):
        number = counts.setdefault(match[1], 0)
        counts[match[1]] += 1
        names[match[0]] = f"{match[1]}_{number}"
    return names


def _rename(message: Any, names: dict[str, str]) -> None:
    """Puts the new names wherever a text of a message is an old one."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _rename_map(value, names, of_messages=field.message_type.fields_by_name["value"].message_type is not None)
        elif field.message_type is not None:
            for each in value if _repeated(field) else [value]:
                _rename(each, names)
        elif field.cpp_type == field.CPPTYPE_STRING:
            if _repeated(field):
                value[:] = [_renamed(each, names) for each in value]
            else:
                setattr(message, field.name, _renamed(value, names))


def _rename_map(entries: Any, names: dict[str, str], *, of_messages: bool) -> None:
    for key in sorted(entries):  # in an order that is not one of chance, for the counting
        new = _renamed(key, names)
        if of_messages:
            _rename(entries[key], names)
            if key == _CAPTURED and entries[key].s.isdigit():
                entries[key].s = b"captured"
            if new != key:
                moved = type(entries[key])()
                moved.CopyFrom(entries[key])
                del entries[key]
                entries[new].CopyFrom(moved)
        else:
            value = _renamed(entries.pop(key), names)
            entries[new] = value


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, bytes):
        return _renamed(value.decode(), names).encode() if value.isascii() else value
    if not isinstance(value, str):
        return value
    gradient = _GRADIENT.fullmatch(value)
    if gradient is None:
        return names.get(value, _UNUSED.sub(r"\1", value))
    # of gradients some stand in the graph alone: each is counted where it is met first
    return names.setdefault(value, f"{gradient[1]}-{len(names)}")


def _repeated(field: Any) -> bool:
    return field.label == field.LABEL_REPEATED
