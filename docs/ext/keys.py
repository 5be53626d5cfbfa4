"""The configuration's keys, taken from the models that check a configuration, so that both always agree."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from operator import attrgetter
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.parsers.rst.directives import flag
from sphinx.application import Sphinx

Schema = dict[str, Any]


def sections(target: str) -> Iterator[tuple[str, Schema]]:
    """Return each model below ``module:Model`` once, with the path of the first key that leads to it."""
    schema = model(target).model_json_schema()
    found: dict[str, str] = {}
    waiting = [("", schema)]
    while waiting:
        path, part = waiting.pop(0)
        yield path, part
        below = []
        for key, entry in part.get("properties", {}).items():
            for name, suffix in _references(entry):
                if name not in found:
                    found[name] = f"{path}.{key}{suffix}".lstrip(".")
                    below.append((found[name], schema["$defs"][name]))
        waiting = below + waiting


def model(target: str) -> Any:
    """Return the model ``module:Name`` or ``module:Class.Name``."""
    module, _, name = target.partition(":")
    return attrgetter(name)(import_module(module))


def _references(entry: Schema, suffix: str = "") -> Iterator[tuple[str, str]]:
    """Return the models that a key may hold, and how one comes to them."""
    if "$ref" in entry:
        yield entry["$ref"].rpartition("/")[2], suffix
    for choice in entry.get("anyOf", []):
        yield from _references(choice, suffix)
    if "items" in entry:
        yield from _references(entry["items"], suffix + "[]")
    if isinstance(entry.get("additionalProperties"), dict):
        yield from _references(entry["additionalProperties"], suffix + ".NAME")


def kind(entry: Schema) -> str:
    """Return what a key may hold, in a few words."""
    if "$ref" in entry:
        return "keys, see below"
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(kind(choice) for choice in entry["anyOf"]))
    if "enum" in entry or "const" in entry:
        return " | ".join(map(_value, entry.get("enum", [entry.get("const")])))
    if "prefixItems" in entry:
        return "[" + ", ".join(kind(item) for item in entry["prefixItems"]) + "]"
    if entry.get("type") == "array":
        return f"list of: {kind(entry.get('items', {}))}"
    if entry.get("type") == "object":
        values = entry.get("additionalProperties")
        return f"names, each with: {kind(values)}" if isinstance(values, dict) else "keys and values"
    words = {"string": "text", "boolean": "true | false"}
    name = words.get(entry.get("type", ""), entry.get("type", "any"))
    return " ".join([name, *_limits(entry)])


def _limits(entry: Schema) -> Iterator[str]:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    for name, sign in signs.items():
        if name in entry:
            yield f"{sign} {entry[name]:g}"


def _value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def default(entry: Schema, required: bool) -> str:
    """Return the default in YAML's words; a section's own defaults stand in its table."""
    if required:
        return "required"
    value = entry.get("default")
    if isinstance(value, dict) or "default" not in entry:
        return "–"
    return _value(value) or "–"


class Keys(Directive):
    """Tables of the keys of a model and of all models below it: ``{keys} module:Model``."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"prefix": str, "top": flag}

    def run(self) -> list[nodes.Node]:
        """Return one section for each model."""
        made: list[nodes.Node] = []
        definitions = model(self.arguments[0]).model_json_schema().get("$defs", {})
        prefix = self.options.get("prefix", "")
        for path, schema in sections(self.arguments[0]):
            name = ".".join(filter(None, (prefix, path)))
            if not path:
                made.append(_table(schema, definitions))
                continue
            if "top" in self.options:
                break
            section = nodes.section(ids=[nodes.make_id(name)], names=[nodes.fully_normalize_name(name)])
            section += nodes.title(name, "", nodes.literal(name, name))
            if schema.get("description"):
                section += nodes.paragraph("", schema["description"])
            section += _table(schema, definitions)
            self.state.document.note_implicit_target(section, section)
            made.append(section)
        return made


def _table(schema: Schema, definitions: Schema) -> nodes.Node:
    required = schema.get("required", [])
    rows = [
        (key, kind(entry), default(entry, key in required), meaning(entry, definitions))
        for key, entry in schema.get("properties", {}).items()
    ]
    table = nodes.table(classes=["keys"])
    group = nodes.tgroup(cols=4)
    table += group
    for width in (22, 26, 14, 50):
        group += nodes.colspec(colwidth=width)
    head, body = nodes.thead(), nodes.tbody()
    group += [head, body]
    head += _row(nodes.Text(text) for text in ("key", "value", "default", "meaning"))
    for key, what, without, text in rows:
        body += _row((nodes.literal(key, key), nodes.Text(what), nodes.Text(without), nodes.Text(text)))
    return table


def meaning(entry: Schema, definitions: Schema) -> str:
    """Return a key's description, or the first sentence of the section that it holds."""
    text = entry.get("description", "")
    for name, _ in _references(entry):
        text = text or definitions[name].get("description", "").partition("\n")[0].rstrip(".")
    return str(text)


def _row(cells: Any) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        row += nodes.entry("", nodes.paragraph("", "", cell))
    return row


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive to Sphinx."""
    app.add_directive("keys", Keys)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
