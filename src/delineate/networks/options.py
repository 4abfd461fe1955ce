"""Which options a network has: what its constructor takes, and what its docstring says of each.

Signature and docstring are the only source, of networks of the package as of others, so that what
is listed is what is taken.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

DIMENSIONS = ("ndim", "spatial_dims", "dimensions")
"""Names for the number of spatial axes in constructors; the first that one has is used."""

FIXED = ("in_channels", "out_channels", *DIMENSIONS)
"""What data and method decide."""

WORDS: dict[Any, str] = {int: "integer", float: "number", bool: "true or false", str: "text"}

PLURALS = {"integer": "integers", "number": "numbers", "true or false": "true or false"}


class NetworkOption(NamedTuple):
    """An option of a network; `kind` says its type in words, `default` is as YAML has it."""

    name: str
    kind: str
    default: str
    meaning: str


class Further(NamedTuple):
    """Annotates the ``**options`` of a builder, which are handed to a constructor of a library.

    Parameters
    ----------
    library : the constructor.
    given : what the builder itself gives it, or what has no use.
    """

    library: Callable[..., Any]
    given: tuple[str, ...] = ()


class Options(NamedTuple):
    """All options of a network.

    Parameters
    ----------
    known : those that its constructor names.
    others : whether it may take others.
    library : the constructor of a library that it hands them to, by its import path.
    """

    known: tuple[NetworkOption, ...]
    others: bool
    library: str | None = None

    def unknown(self, given: Mapping[str, Any]) -> list[str]:
        """The names among those given that are no option."""
        return [] if self.others else sorted(set(given) - {option.name for option in self.known})

    def told(self) -> str:
        """The options with their defaults, as the end of a message."""
        told = [f"{o.name} {o.default}".removesuffix(" required") for o in self.known]
        told += ["others"] if self.others and told else []
        if not told:
            return "" if self.others else "; it has no options"
        return f"; its options are {', '.join(told)}"


def options_of(factory: Callable[..., Any], further: Further | None = None) -> Options:
    """The options of a constructor, and of that of a library which it hands them to.

    Parameters
    ----------
    factory : a class or function that makes a network.
    further : what its ``**options`` are for; None: as they are annotated.
    """
    signature = _signature(factory)
    if signature is None:
        return Options((), others=True)
    own = tuple(_listed(factory, signature, ()))
    rest = next((p for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD), None)
    notes = getattr(getattr(rest, "annotation", None), "__metadata__", ())
    further = further or next((note for note in notes if isinstance(note, Further)), None)
    if rest is None or further is None:
        return Options(own, rest is not None)
    library = further.library
    inner = _signature(library)
    taken = (*further.given, *(option.name for option in own))
    known = tuple(_listed(library, inner, taken)) if inner is not None else ()
    more = {option.name: option.meaning for option in _listed(library, inner, ())} if inner else {}
    own = tuple(o._replace(meaning=o.meaning or more.get(o.name, "")) for o in own)
    others = inner is None or any(p.kind is p.VAR_KEYWORD for p in inner.parameters.values())
    return Options((*own, *known), others, f"{library.__module__}.{library.__qualname__}")


def _signature(factory: Callable[..., Any]) -> inspect.Signature | None:
    """Its signature with types where they can be found; None of compiled ones, which need none."""
    try:
        return inspect.signature(factory, eval_str=True)
    except ValueError:
        return None
    except Exception:  # annotations may name what is not imported
        return inspect.signature(factory)


def _listed(
    factory: Callable[..., Any], signature: inspect.Signature, taken: Sequence[str]
) -> Iterator[NetworkOption]:
    written = factory.func if isinstance(factory, partial) else factory
    texts = [inspect.getdoc(written), inspect.getdoc(getattr(written, "__init__", None))]
    for parameter in signature.parameters.values():
        name, default = parameter.name, parameter.default
        if name in (*FIXED, *taken) or parameter.kind in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        ):
            continue
        if isinstance(default, type) and default is not parameter.empty:
            continue  # a class, which no recipe can name
        meaning = next((m for text in texts if (m := _meaning(text or "", name))), "")
        shown = "required" if default is parameter.empty else _text(default)
        yield NetworkOption(name, _kind(parameter.annotation), shown, meaning)


def _text(default: Any) -> str:
    """A default as YAML has it."""
    if default is None or isinstance(default, bool):
        return {None: "null", True: "true", False: "false"}[default]
    if isinstance(default, Enum):
        return str(default.value)
    return str(list(default)) if isinstance(default, tuple) else str(default) or "''"


def _kind(annotation: Any) -> str:
    """A type in words."""
    if annotation in WORDS:
        return WORDS[annotation]
    if annotation in (None, type(None)):
        return "null"
    if annotation in (Any, inspect.Parameter.empty):
        return "any value"
    if isinstance(annotation, str):
        return annotation
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(map(str, inner))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_kind(each) for each in inner))
    bare: Any = origin or annotation
    if isinstance(bare, type) and issubclass(bare, Sequence):
        each = get_args(inner[0]) or inner[:1] if inner else ()
        several = dict.fromkeys(PLURALS.get(_kind(one), "lists") for one in each)
        return f"list of {' or '.join(several)}" if several else "list"
    return str(getattr(bare, "__name__", bare))


def _meaning(text: str, name: str) -> str:
    """What a docstring says of a parameter, its first sentence on one line; "" if nothing."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        found = re.match(rf"(\s*)(?:\w+, )*{name}(?:, \w+)*(?:\s*\([^)]*\))?\s*:\s*(.*)", line)
        if found is None:
            continue
        said = [found[2]]
        for more in lines[number + 1 :]:
            if not more.strip() or len(more) - len(more.lstrip()) <= len(found[1]):
                break
            said.append(more.strip())
        sentence = re.split(r"\.(?:\s|$)|\s*:$", " ".join(said))[0]
        return re.sub(r":[\w:]+:(?=`)", "", sentence).replace("`", "").strip()
    return ""
