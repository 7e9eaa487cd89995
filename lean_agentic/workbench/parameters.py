"""Parameters of a notebook: what its `parameters` cell declares, and values checked against it.

Goes in: a notebook whose cell tagged `parameters` holds typed assignments of literals,
`arrivals: int = 2000  # requests replayed`. Comes out: one `Parameter` a line, and dictionaries of
values of the declared types. The cell is papermill's convention, but it is read with `ast` and not
with `papermill.inspect_notebook`, whose regular expression passes over `int | None` and
`tuple[float, ...]`, over lines with a second `=`, and cuts a string at a `#`; and papermill only
warns of a parameter that it does not know.
"""

from __future__ import annotations

import ast
import difflib
import io
import json
import math
import tokenize
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from lean_agentic.workbench.errors import WorkbenchError

TAG = "parameters"
SCALARS: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str, "None": NoneType}
SEQUENCES: dict[str, Any] = {"list": list, "tuple": tuple}


class ParameterError(WorkbenchError):
    """A notebook without readable parameters, or a value that its parameters do not allow."""


@dataclass(frozen=True)
class Parameter:
    """One line of the `parameters` cell."""

    name: str
    annotation: str
    """The type as the cell writes it: `int`, `tuple[float, ...]`, `str | None`."""
    kind: Any
    """The same as a runtime type."""
    default: Any
    comment: str = ""

    def __str__(self) -> str:
        text = f"{self.name}: {self.annotation} = {self.default!r}"
        return f"{text}  # {self.comment}" if self.comment else text

    def accept(self, value: object) -> Any:
        """A value (from TOML or JSON) in the declared type; an int becomes a float, a list a tuple.

        Raises
        ------
        ParameterError
            The value is of another type, or not finite.
        """
        try:
            return _converted(value, self.kind)
        except ValueError as error:
            raise ParameterError(f"{self.name} must be {self.annotation}, not {value!r}.") from error

    def parse(self, text: str) -> Any:
        """A value from the command line in the declared type; sequences as `1,2,3` or `[1, 2, 3]`.

        Raises
        ------
        ParameterError
            The text does not spell a value of that type.
        """
        try:
            return _converted(_parsed(text, self.kind), self.kind)
        except (ValueError, SyntaxError, TypeError) as error:
            raise ParameterError(f"{self.name} must be {self.annotation}, not {text!r}.") from error


def read_parameters(notebook: Path) -> dict[str, Parameter]:
    """Read what a notebook's `parameters` cell declares, in its order.

    Raises
    ------
    ParameterError
        The notebook is missing or no notebook, has no such cell, or the cell holds something else than typed
        assignments of literals.
    """
    source = _parameters_cell(notebook)
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ParameterError(f"The parameters cell of {notebook} is not Python: {error}.") from error
    comments = _comments(source)
    found = [_parameter(node, comments, notebook) for node in tree.body]
    return {parameter.name: parameter for parameter in found}


def resolve(
    parameters: Mapping[str, Parameter], profile: Mapping[str, object], texts: Mapping[str, str]
) -> dict[str, Any]:
    """Values of all parameters: the defaults, over them a profile's, over them the command line's.

    Raises
    ------
    ParameterError
        Names or values that do not fit, all in one message, followed by the valid parameters.
    """
    values = {name: parameter.default for name, parameter in parameters.items()}
    problems = []
    readers: list[tuple[Mapping[str, Any], Callable[[Parameter, Any], Any]]] = [
        (profile, Parameter.accept),
        (texts, Parameter.parse),
    ]
    for given, read in readers:
        for name, value in given.items():
            try:
                values[name] = read(_known(parameters, name), value)
            except ParameterError as error:
                problems.append(str(error))
    if problems:
        valid = "".join(f"\n    {parameter}" for parameter in parameters.values())
        raise ParameterError("\n  ".join(problems) + f"\n  Valid parameters:{valid or ' none'}")
    return values


def _known(parameters: Mapping[str, Parameter], name: str) -> Parameter:
    if name not in parameters:
        near = difflib.get_close_matches(name, parameters, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ParameterError(f"There is no parameter {name}.{hint}")
    return parameters[name]


def _parameters_cell(notebook: Path) -> str:
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParameterError(f"The notebook {notebook} does not exist; mend `notebook` or restore the file.") from error
    except (OSError, ValueError) as error:
        raise ParameterError(f"{notebook} is not a notebook: {error}.") from error
    _check_format(notebook, content)
    for cell in content["cells"]:
        if cell["cell_type"] == "code" and TAG in cell["metadata"].get("tags", []):
            return "".join(cell["source"])
    raise ParameterError(
        f"{notebook} has no cell tagged `{TAG}`. Add one with lines such as `seed: int = 0  # of all random choices`."
    )


def _check_format(notebook: Path, content: object) -> None:
    import nbformat

    try:
        if not isinstance(content, dict) or content.get("nbformat") != 4:
            raise nbformat.ValidationError("it is not of notebook format 4")
        nbformat.validate(content)
    except nbformat.ValidationError as error:
        raise ParameterError(f"{notebook} is not a notebook: {str(error).splitlines()[0]}.") from error


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


def _parameter(node: ast.stmt, comments: Mapping[int, str], notebook: Path) -> Parameter:
    wrong = f"The parameters cell of {notebook}, line {node.lineno}: {ast.unparse(node)!r}"
    if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None):
        raise ParameterError(
            f"{wrong} is not a typed assignment such as `rows: int = 10  # rows read`. "
            "Move anything else to a cell below, so that it sees the values of the run."
        )
    try:
        kind = _kind(node.annotation)
        default = _converted(ast.literal_eval(node.value), kind)
    except ValueError as error:
        raise ParameterError(
            f"{wrong} is not a literal of its type. Types: int, float, bool, str, list[...], tuple[...], "
            "each also `| None`."
        ) from error
    comment = comments.get(node.end_lineno or node.lineno, "")
    return Parameter(node.target.id, ast.unparse(node.annotation), kind, default, comment)


def _kind(node: ast.expr) -> Any:
    """The runtime type of an annotation; built from a fixed set of names, never evaluated."""
    match node:
        case ast.Constant(value=None):
            return NoneType
        case ast.Name(id=name) if name in SCALARS:
            return SCALARS[name]
        case ast.Name(id=name) if name in SEQUENCES:
            return SEQUENCES[name]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _kind(left) | _kind(right)
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return list[_kind(item)]  # type: ignore[misc]
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=items)):
            return tuple[tuple(... if _is_ellipsis(item) else _kind(item) for item in items)]  # type: ignore[misc]
        case ast.Subscript(value=ast.Name(id="tuple"), slice=item):
            return tuple[_kind(item)]  # type: ignore[misc]
    raise ValueError(f"{ast.unparse(node)} is not a type of parameters")


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _converted(value: object, kind: Any) -> Any:
    """`value` in the type `kind`; ValueError when it is of another type."""
    if isinstance(kind, UnionType):
        return _first(get_args(kind), lambda member: _converted(value, member))
    if kind in (list, tuple) or get_origin(kind) in (list, tuple):
        return _converted_sequence(value, kind)
    if kind is float and type(value) is int:
        value = float(value)
    # `type`, not `isinstance`: a bool is an int to Python, but `seed = true` is a slip.
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{value!r} is not {kind}")
    return value


def _converted_sequence(value: object, kind: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{value!r} is not a sequence")
    items = _item_kinds(kind, len(value))
    if len(items) != len(value):
        raise ValueError(f"{value!r} has not {len(items)} items")
    return (get_origin(kind) or kind)(_converted(item, of) for item, of in zip(value, items, strict=True))


def _item_kinds(kind: Any, length: int) -> list[Any]:
    members = get_args(kind)
    if not members:  # bare `list` or `tuple`: any scalar
        return [reduce(or_, (bool, int, float, str, NoneType))] * length
    if get_origin(kind) is list or ... in members:
        return [members[0]] * length
    return list(members)


def _parsed(text: str, kind: Any) -> Any:
    """What a text spells, read as `kind`; ValueError or SyntaxError when it spells none."""
    if isinstance(kind, UnionType):
        # str last: every text is a str
        return _first(sorted(get_args(kind), key=lambda member: member is str), lambda member: _parsed(text, member))
    if kind is NoneType or kind is bool:
        words = {"none": None} if kind is NoneType else {"true": True, "false": False}
        if text.lower() not in words:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return words[text.lower()]
    if kind in (int, float, str):
        return kind(text)
    if text.lstrip().startswith(("[", "(")):
        return ast.literal_eval(text.strip())
    pieces = [piece.strip() for piece in text.split(",")] if text.strip() else []
    return [_parsed(piece, of) for piece, of in zip(pieces, _item_kinds(kind, len(pieces)), strict=True)]


def _first(members: Iterable[Any], read: Callable[[Any], Any]) -> Any:
    for member in members:
        try:
            return read(member)
        except (ValueError, SyntaxError):
            continue
    raise ValueError("no member of the union fits")
