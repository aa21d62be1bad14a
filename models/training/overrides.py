"""Settings as plain data and as `key=value` text, in both directions.

A key names a field by its path, such as `optimizer.learning_rate` or `data.train`. A value is
text, a number, true or false, null for none, or JSON where the field is a list or a group.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ...errors import DwposeError, InvalidArgumentError
from .settings import DataSource, Settings

NULL_TEXT = "null"
JSON_OPENINGS = ("[", "{", '"')
SOURCE_KEYS = ("data.train", "data.validation")

Kind = TypeVar("Kind")
"""A dataclass of settings, of any kind of run."""


def to_plain(settings: object) -> dict[str, Any]:
    """Turns settings into dictionaries, lists, text and numbers, ready for JSON.

    Args:
        settings: The settings, a dataclass.

    Returns:
        Field -> value, complete, in the order of the fields.
    """
    return _as_json(settings)


def from_plain(plain: Mapping[str, Any]) -> Settings:
    """Makes settings of plain data, such as what `to_plain` returned.

    Args:
        plain: Field -> value; fields that are left out have their defaults.

    Returns:
        The settings.

    Raises:
        InvalidArgumentError: A key is unknown, or a value is of the wrong type or out of range;
            the message names the key.
    """
    return settings_of_kind(Settings, plain)


def settings_of_kind(kind: type[Kind], plain: Mapping[str, Any]) -> Kind:
    """Makes settings of any kind of run, as `from_plain` makes those of pose networks.

    Args:
        kind: The dataclass.
        plain: Field -> value; fields that are left out have their defaults.

    Raises:
        InvalidArgumentError: As for `from_plain`.
    """
    _refuse_unknown(plain, kind, "")
    return _convert(kind, plain)


def apply_overrides(settings: Kind, assignments: Sequence[str]) -> Kind:
    """Changes settings as `--set` asks for.

    Args:
        settings: What to start from.
        assignments: `key=value` each; later ones win. All are applied before the result is
            checked, so values that depend on one another can be changed together.

    Returns:
        The changed settings.

    Raises:
        InvalidArgumentError: An assignment has no "=", its key is unknown, or its value is of the
            wrong type or out of range; the message names the key.
    """
    plain = to_plain(settings)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key, text = key.strip(), text.strip()
        if not equals:
            raise InvalidArgumentError(
                f"{assignment!r} is not key=value, such as optimizer.learning_rate=1e-3"
            )
        *groups, field = key.split(".")
        target: dict[str, Any] = plain
        kind: type = type(settings)
        for depth, group in enumerate(groups):
            path = ".".join(groups[: depth + 1])
            kind = _group_type(kind, group, path)
            target = _open_group(target, group, path)
        _field_type(kind, field, key)
        target[field] = _read_value(key, text)
    return settings_of_kind(type(settings), plain)


def print_settings(settings: object) -> str:
    """Writes settings as text, one field a line under its key as `--set` takes it.

    Args:
        settings: The settings.

    Returns:
        Lines of `key = value`; a list's or a group's value is JSON. Data sources have a line each
        and leave out what is as it is by default.
    """
    return "\n".join(f"{key} = {_text(value)}" for key, value in _flat(to_plain(settings), ""))


def _flat(plain: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in plain.items():
        key = prefix + name
        if key in SOURCE_KEYS:
            pairs.append((key, _shortened(value)))
        elif isinstance(value, dict):
            pairs += _flat(value, f"{key}.")
        else:
            pairs.append((key, value))
    return pairs


def _text(value: object) -> str:
    if isinstance(value, str) and value != NULL_TEXT and not value.startswith(JSON_OPENINGS):
        return value
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        items = ",\n".join(f"    {json.dumps(item)}" for item in value)
        return f"[\n{items}\n]"
    return json.dumps(value)


def _as_json(values: object) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(values))
    return plain


def _shortened(value: object) -> object:
    """Returns plain data sources without the fields that have their defaults."""
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if not isinstance(value, dict):
        return value
    default = _as_json(DataSource(annotations="-", images=""))
    required = ("annotations", "images")
    return {name: item for name, item in value.items() if name in required or item != default[name]}


def _read_value(key: str, text: str) -> object:
    """Returns null and JSON read, everything else as the text it is; its type comes later."""
    if text == NULL_TEXT:
        return None
    if text.startswith(JSON_OPENINGS):
        try:
            return json.loads(text)
        except ValueError as error:
            raise InvalidArgumentError(f"{key}: {text} is not valid JSON: {error}") from error
    return text


def _open_group(target: dict[str, Any], group: str, path: str) -> dict[str, Any]:
    inner = target[group]
    if isinstance(inner, dict):
        return inner
    raise InvalidArgumentError(
        f"{path} is null in this recipe, so nothing can be set in it; set {path} as a whole to a "
        "JSON object, or start from a recipe that has it"
    )


def _group_type(kind: type, name: str, path: str) -> type:
    found = _dataclass_of(_field_type(kind, name, path))
    if found is None:
        raise InvalidArgumentError(f"{path} is a single value and has no parts")
    return found


def _field_type(kind: type, name: str, path: str) -> object:
    """Returns a field's type, or says which names are near the one given."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    if name in names:
        return hints[name]
    prefix = path[: len(path) - len(name)]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        listed = " or ".join(prefix + match for match in near)
        raise InvalidArgumentError(f"there is no setting {path}; did you mean {listed}?")
    group = f"in {prefix[:-1]}" if prefix else "here"
    raise InvalidArgumentError(f"there is no setting {path}; {group} are {', '.join(names)}")


def _dataclass_of(kind: object) -> type | None:
    """Returns the dataclass that a field holds, be it optional or not, or none."""
    options = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    for option in options:
        if isinstance(option, type) and dataclasses.is_dataclass(option):
            return option
    return None


def _refuse_unknown(plain: Mapping[str, Any], kind: type, prefix: str) -> None:
    """Refuses keys that are no fields; msgspec passes over them."""
    for name, value in plain.items():
        key = f"{prefix}{name}"
        hint = _field_type(kind, str(name), key)
        inner = _dataclass_of(hint)
        if inner is not None and isinstance(value, Mapping):
            _refuse_unknown(value, inner, f"{key}.")
            continue
        item = next((found for found in map(_dataclass_of, typing.get_args(hint)) if found), None)
        if item is not None and isinstance(value, list | tuple):
            for index, entry in enumerate(value):
                if isinstance(entry, Mapping):
                    _refuse_unknown(entry, item, f"{key}[{index}].")


def _convert(kind: type[Kind], plain: Mapping[str, Any]) -> Kind:
    import msgspec

    try:
        return msgspec.convert(plain, kind, strict=False)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        key = place.rstrip("`").lstrip(".")
        raise InvalidArgumentError(_explain(kind, plain, key, message, error.__cause__)) from error


def _explain(
    kind: type, plain: Mapping[str, Any], key: str, message: str, cause: BaseException | None
) -> str:
    """Words a refusal by its key, what that wants and what it was given."""
    value = _value_at(plain, key)
    if isinstance(cause, DwposeError):  # a check of a whole group: `key` is the group
        first_word = message.partition(" ")[0]
        if isinstance(value, Mapping) and first_word in value:
            return f"{key}.{message}" if key else message
        return f"{key}: {message}" if key else message
    choices = typing.get_args(_type_at(kind, key))
    if message.startswith("Invalid enum value") and choices:
        return f"{key} must be one of {', '.join(map(str, choices))}, not {value!r}"
    expected = message.partition(", got")[0].replace("`", "").removeprefix("Expected ")
    if message.startswith("Expected "):
        return f"{key} must be {expected.replace('array', 'a JSON list')}, not {value!r}"
    return f"{key}: {message}"


def _type_at(settings_kind: type, key: str) -> object:
    """Returns the type of the field at a key, or none inside a list."""
    kind: Any = settings_kind
    for name in key.split("."):
        group = _dataclass_of(kind)
        if group is None or "[" in name:
            return None
        kind = typing.get_type_hints(group).get(name)
    return kind


def _value_at(plain: Mapping[str, Any], key: str) -> object:
    value: Any = plain
    for part in key.replace("[", ".").replace("]", "").split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list | tuple) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
    return value
