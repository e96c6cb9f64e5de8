"""Scene graphs written as JSON, with the content of the line grammar.

{"objects": [{"id": 1, "size": "large", "colour": "red", "texture": "striped", "shape": "circle"}],
 "relations": [{"subject": 1, "relation": "left", "object": 2}]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from vtbench.errors import TaskError
from vtbench.scoring.graph_line import Items, read_dressed, read_line
from vtbench.scoring.graph_parts import Described, Placed, described, graph_of, place_word
from vtbench.scoring.loose_json import documents
from vtbench.scoring.normalise import normalise

_KEYS = {
    "number": ("id", "number", "index", "object_id"),
    "size": ("size",),
    "colour": ("colour", "color"),
    "texture": ("texture", "pattern"),
    "shape": ("shape", "type"),
    "subject": ("subject", "subject_id", "from", "source", "a"),
    "relation": ("relation", "predicate", "relationship", "type", "position"),
    "object": ("object", "object_id", "to", "target", "b"),
}
"""Names that models give to the keys."""
_NUMBER = re.compile(r"\D{0,20}(\d{1,9})")


def graph_as_json(text: str) -> str:
    """Return a scene graph in the line grammar as JSON on one line, its objects and relations in their order.

    Raises:
        TaskError: the text is not in the line grammar.
    """
    items = read_line(text)
    if not graph_of(items).well_formed:
        raise TaskError(
            f"{text[:60]!r} is no scene graph such as '1 large red striped circle ; 2 small blue solid square'"
        )
    objects, relations = [], []
    for item in items:
        if isinstance(item, Described):
            look = {"size": item.size, "colour": item.colour, "texture": item.texture, "shape": item.shape}
            objects.append({"id": item.number, **look})
        elif isinstance(item, Placed):
            relations.append({"subject": item.number, "relation": item.word, "object": item.other})
    return json.dumps({"objects": objects, "relations": relations}, ensure_ascii=False)


def read_json(text: str) -> Items | None:
    """Return the items of the last JSON document of a text that describes objects; None if there is none.

    A document that ends too early has the items that are whole, and a None.
    """
    found: Items | None = None
    for document, whole in documents(text):
        objects, relations = _parts(document)
        items = _objects(objects)
        if any(items):
            found = items if whole else [*items, None]
        if found is not None:  # relations may follow in a document of their own
            found += _relations(relations) + ([] if whole or any(items) else [None])
    return found


def _parts(document: Any) -> tuple[Any, Any]:
    """Return what a document has of objects and of relations; both may be in an object of their own."""
    if isinstance(document, list):
        inside = [entry for entry in document if isinstance(entry, dict) and "objects" in entry]
        if not inside:
            return document, []
        document = inside[-1]
    while isinstance(document, dict):
        objects, relations = document.get("objects"), document.get("relations", document.get("relationships"))
        if objects is not None or relations is not None:
            return objects or [], relations or []
        inner = [value for value in document.values() if isinstance(value, dict | str)]
        document = inner[0] if len(inner) == 1 else None
    return ([document] if isinstance(document, str) else []), []


def _objects(values: Any) -> Items:
    if isinstance(values, dict):  # {"1": {...}, "2": {...}}
        values = [{"id": key, **value} if isinstance(value, dict) else None for key, value in values.items()]
    found: Items = []
    for position, value in enumerate(values if isinstance(values, list) else [values], 1):
        if isinstance(value, dict):
            found.append(_object(value, position))
        elif isinstance(value, str):
            found += read_dressed(value) or [None]
        else:
            found.append(None)
    return found


def _object(value: Mapping[str, Any], position: int) -> Described | None:
    """Return an object; one without a number has that of its position."""
    number = _number(_get(value, "number") if _get(value, "number") is not None else position)
    looks = [_get(value, name) for name in ("size", "colour", "texture", "shape")]
    if number is None or not all(isinstance(look, str) and look.strip() for look in looks):
        return None
    return described(number, " ".join(looks)) or _of_words(number, looks)


def _of_words(number: int, looks: list[str]) -> Described | None:
    """Return an object whose attributes have more than one word each: `light blue`."""
    words = [normalise(look) for look in looks]
    return Described(number, *words) if all(words) else None


def _relations(values: Any) -> Items:
    found: Items = []
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, str):
            found += read_dressed(value) or [None]
            continue
        if isinstance(value, dict):
            value = [_get(value, name) for name in ("subject", "relation", "object")]
        found.append(_relation(*value) if isinstance(value, list) and len(value) == 3 else None)
    return found


def _relation(subject: Any, relation: Any, other: Any) -> Placed | None:
    ends = _number(subject), _number(other)
    word = place_word(normalise(relation)) if isinstance(relation, str) else None
    return Placed(ends[0], word, ends[1]) if word and ends[0] is not None and ends[1] is not None else None


def _number(value: Any) -> int | None:
    """Return the number of an object: `1`, `"1"`, `"object 1"`."""
    match = _NUMBER.fullmatch(str(value))
    return int(match[1]) if match else None


def _get(value: Mapping[str, Any], name: str) -> Any:
    return next((value[key] for key in _KEYS[name] if key in value), None)
