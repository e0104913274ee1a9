"""Liquid in a sandbox: a text and data in, a text out; nothing else can happen.

Promises. Data is what JSON has (texts, numbers, lists, objects), so that there is no attribute or method to
reach; tags that load other templates are not there; a variable that the data does not hold is a fault, unless
`if` or `default` asks for it. In HTML every value is escaped, and no filter marks it as safe. A render is
bounded: the length of the source and of what comes out, all turns of all loops together, what is kept in
variables, and a thread's own processor time, which load on the machine does not stretch.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from liquid import BoundTemplate, Environment, FalsyStrictUndefined, Mode, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import LoopExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import (
    FilterArgumentError,
    FilterError,
    FilterItemTypeError,
    FilterValueError,
    LiquidError,
    LoopIterationLimitError,
    ResourceLimitError,
    UndefinedError,
    UnknownFilterError,
)
from liquid.expression import Expression

from vaguemestre.templating import filters
from vaguemestre.templating.fault import Fault

SOURCE_LIMIT = 200_000  # characters of a part
OUTPUT_LIMIT = 1_000_000  # bytes of a part
TURNS_LIMIT = 10_000  # of all loops of a part together
SECONDS = 2.0  # of processor time, for a part
_TAGS = frozenset(
    "# assign break capture case comment continue cycle elsif else for if unless".split()  # noqa: SIM905
)
_INNER = frozenset({"content", "illegal", "statement", "output", "literal"})  # how the parser names text
_MISSING = re.compile(r"expected (?:tag (\w+)|'(}}|%})'), found")
_MISPLACED = re.compile(r"unexpected tag '(\w+)'")
_VALUES = (FilterArgumentError, FilterError, FilterItemTypeError, FilterValueError)


class _Bounded(RenderContext):
    """A render that ends: it counts the turns of its loops, and looks at the clock at every node, filter and
    variable.
    """

    def __init__(self, *args: Any, **values: Any) -> None:
        self._until = time.thread_time() + SECONDS
        self._turns = 0
        super().__init__(*args, **values)

    # Every node reads this before it renders itself.
    @property
    def disabled_tags(self) -> list[str]:
        """None; and no further once the time is up."""
        self._look_at_the_clock()
        return []

    @disabled_tags.setter
    def disabled_tags(self, _names: list[str]) -> None:
        """Of no use here: the tags that may not be used do not exist."""

    def filter(self, name: str, token: Any) -> Callable[..., object]:
        """The filter of that name."""
        self._look_at_the_clock()
        return super().filter(name, token)

    def get(self, *args: Any, **values: Any) -> object:
        """The value of a variable."""
        self._look_at_the_clock()
        return super().get(*args, **values)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Count the turns of a loop that begins."""
        self._turns += length
        if self._turns > TURNS_LIMIT:
            raise LoopIterationLimitError(f"more than {TURNS_LIMIT} turns of loops", token=None)

    def _look_at_the_clock(self) -> None:
        if time.thread_time() > self._until:
            raise ResourceLimitError(f"more than {SECONDS:.0f} seconds", token=None)


class _Range(RangeLiteral):
    """A range that is looked at before a loop takes anything from it: `offset` and `reversed` go through it
    in one step, which no clock interrupts.
    """

    def evaluate(self, context: RenderContext) -> range:
        """The range."""
        found = super().evaluate(context)
        if found.stop - found.start > TURNS_LIMIT:
            raise LoopIterationLimitError(f"more than {TURNS_LIMIT} turns of loops", token=None)
        return found


class _Template(BoundTemplate):
    context_class = _Bounded


class _Sandbox(Environment):
    template_class = _Template
    output_stream_limit = OUTPUT_LIMIT
    local_namespace_limit = OUTPUT_LIMIT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """Only what is harmless."""
        super().setup_tags_and_filters(extra=extra)
        self.tags = {name: tag for name, tag in self.tags.items() if name in _TAGS | _INNER}
        filters.install(self)


_PLAIN = _Sandbox(undefined=FalsyStrictUndefined, tolerance=Mode.STRICT)
_HTML = _Sandbox(undefined=FalsyStrictUndefined, tolerance=Mode.STRICT, autoescape=True)


def render(part: str, source: str, data: Mapping[str, object]) -> str:
    """What a part comes to with this data.

    Raises:
        Fault: at its line.
    """
    template = parse(part, source)
    try:
        return str(template.render(data))
    except LiquidError as error:
        raise _fault(part, error) from None
    except (ArithmeticError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise Fault(part, "template_value", said=type(error).__name__) from None


@lru_cache(maxsize=256)
def parse(part: str, source: str) -> BoundTemplate:
    """A part that was understood.

    Raises:
        Fault: at its line.
    """
    if len(source) > SOURCE_LIMIT:
        raise Fault(part, "template_long", limit=SOURCE_LIMIT)
    try:
        template = (_HTML if part == "html" else _PLAIN).from_string(source)
    except LiquidError as error:
        # What is missing at the end has no place of its own.
        raise _fault(part, error, source.count("\n") + 1) from None
    except RecursionError:
        raise Fault(part, "template_limit", said="nested too deeply") from None
    _refuse(part, template)
    _bound(template)
    return template


def asked(part: str, source: str) -> Iterator[tuple[tuple[str, ...], bool]]:
    """What the data has to hold: each path in it, and whether a loop goes over what stands there.

    Raises:
        Fault: the source cannot be understood.
    """
    template = parse(part, source)
    context = template.context_class(template)
    loops = {
        str(expression.iterable)
        for node in _nodes(template.nodes, context)
        for expression in node.expressions()
        if isinstance(expression, LoopExpression)
    }
    for uses in template.analyze(include_partials=False).globals.values():
        for use in uses:
            path = tuple(segment for segment in use.segments if isinstance(segment, str))
            if path:  # {{ [name] }} has none of its own
                yield path, ".".join(path) in loops


def _refuse(part: str, template: BoundTemplate) -> None:
    """What else only the data that reaches it would find: unknown filters, ranges that no loop bounds."""
    context = template.context_class(template)
    for node in _nodes(template.nodes, context):
        for expression in node.expressions():
            in_loop = expression.iterable if isinstance(expression, LoopExpression) else None
            for inner in _within(expression):
                if isinstance(inner, RangeLiteral) and inner is not in_loop:
                    raise Fault(part, "template_range", _line(node.token))
                for used in getattr(inner, "filters", None) or ():
                    if used.name not in template.env.filters:
                        raise Fault(part, "template_filter", _line(used.token or node.token), name=used.name)


def _bound(template: BoundTemplate) -> None:
    context = template.context_class(template)
    for node in _nodes(template.nodes, context):
        for expression in node.expressions():
            if isinstance(expression, LoopExpression) and isinstance(expression.iterable, RangeLiteral):
                literal = expression.iterable
                expression.iterable = _Range(literal.token, literal.start, literal.stop)


def _nodes(nodes: Any, context: RenderContext) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _nodes(node.children(context), context)


def _within(expression: Expression) -> Iterator[Expression]:
    yield expression
    for inner in expression.children():
        yield from _within(inner)


def _fault(part: str, error: LiquidError, otherwise: int = 0) -> Fault:
    line, said = _line(error.token) or otherwise, str(error.message or "it cannot be understood").rstrip(".")
    match error:
        case UndefinedError():
            return Fault(part, "template_variable", line, name=_name(said))
        case UnknownFilterError():
            return Fault(part, "template_filter", line, name=said.split("'")[1])
        case ResourceLimitError():
            return Fault(part, "template_limit", line, said=said)
        case _ if isinstance(error, _VALUES):
            return Fault(part, "template_value", line, said=said)
        case _:
            return _syntax(part, line, said)


def _syntax(part: str, line: int, said: str) -> Fault:
    """What Liquid says in English alone is told by a code of its own where it is usual."""
    if missing := _MISSING.match(said):
        return Fault(part, "template_missing", line, name=missing[2] or f"{{% {missing[1]} %}}")
    if misplaced := _MISPLACED.match(said):
        return Fault(part, "template_misplaced", line, name=f"{{% {misplaced[1]} %}}")
    return Fault(part, "template_syntax", line, said=said)


def _name(said: str) -> str:
    """Of the variable, out of "'due' is undefined" or "invoice.due is undefined"."""
    return said.removesuffix(" is undefined").strip("'")


def _line(token: Any) -> int:
    if token is None or token.start_index < 0:
        return 0
    return int(token.source.count("\n", 0, token.start_index)) + 1
