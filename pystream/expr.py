"""Column expressions: ``col("price") * 1.2``, ``when(...).then(...).otherwise(...)``.

An `Expr` is immutable and does nothing by itself; the native core compiles it for a stream.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from pystream.dtypes import to_format
from pystream.durations import Duration, parse_duration
from pystream.errors import DurationError, InvalidError
from pystream.literals import to_literal
from pystream.plan.tree import Call, Column, Node, output_name, render

__all__ = ["Expr", "coalesce", "col", "lit", "max_horizontal", "min_horizontal", "when"]

# Inside Expr the name `str` is the namespace of text functions.
_Str = str


class Expr:
    """A value computed from the columns of a row.

    Built by `col`, `lit` and `when`; combined with ``+ - * / // % == != < <= > >= & | ~ ^``.

    Examples
    --------
    >>> col("price") * col("size") > 100
    <Expr ((price * size) > 100)>
    """

    __slots__ = ("_name", "_node")

    def __init__(self, node: Node, name: _Str | None = None) -> None:
        self._node = node
        self._name = name

    @property
    def name(self) -> _Str:
        """Name of the column this expression becomes: its alias, or its first column."""
        return self._name if self._name is not None else output_name(self._node)

    @property
    def node(self) -> Node:
        """The tree, for rules and for the core."""
        return self._node

    def __repr__(self) -> _Str:
        alias = f" as {self._name}" if self._name is not None else ""
        return f"<Expr {render(self._node)}{alias}>"

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "an expression has no truth value before it runs: combine with & | ~ (in parentheses) "
            "instead of and, or, not"
        )

    def __iter__(self) -> NoReturn:
        raise TypeError("an expression cannot be iterated")

    __hash__ = object.__hash__

    def _call(
        self, function: _Str, *others: Any, text: _Str | None = None, integer: int = 0
    ) -> Expr:
        arguments = (self._node, *(to_node(other) for other in others))
        return Expr(Call(function, arguments, text, integer))

    def _reversed(self, function: _Str, other: Any) -> Expr:
        return Expr(Call(function, (to_node(other), self._node)))

    def __add__(self, other: Any) -> Expr:
        return self._call("add", other)

    def __radd__(self, other: Any) -> Expr:
        return self._reversed("add", other)

    def __sub__(self, other: Any) -> Expr:
        return self._call("subtract", other)

    def __rsub__(self, other: Any) -> Expr:
        return self._reversed("subtract", other)

    def __mul__(self, other: Any) -> Expr:
        return self._call("multiply", other)

    def __rmul__(self, other: Any) -> Expr:
        return self._reversed("multiply", other)

    def __truediv__(self, other: Any) -> Expr:
        return self._call("divide", other)

    def __rtruediv__(self, other: Any) -> Expr:
        return self._reversed("divide", other)

    def __floordiv__(self, other: Any) -> Expr:
        return self._call("floor_divide", other)

    def __rfloordiv__(self, other: Any) -> Expr:
        return self._reversed("floor_divide", other)

    def __mod__(self, other: Any) -> Expr:
        return self._call("modulo", other)

    def __rmod__(self, other: Any) -> Expr:
        return self._reversed("modulo", other)

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]
        return self._call("equal", other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]
        return self._call("not_equal", other)

    def __lt__(self, other: Any) -> Expr:
        return self._call("less", other)

    def __le__(self, other: Any) -> Expr:
        return self._call("less_equal", other)

    def __gt__(self, other: Any) -> Expr:
        return self._call("greater", other)

    def __ge__(self, other: Any) -> Expr:
        return self._call("greater_equal", other)

    def __and__(self, other: Any) -> Expr:
        return self._call("and", other)

    def __rand__(self, other: Any) -> Expr:
        return self._reversed("and", other)

    def __or__(self, other: Any) -> Expr:
        return self._call("or", other)

    def __ror__(self, other: Any) -> Expr:
        return self._reversed("or", other)

    def __xor__(self, other: Any) -> Expr:
        return self._call("xor", other)

    def __rxor__(self, other: Any) -> Expr:
        return self._reversed("xor", other)

    def __invert__(self) -> Expr:
        return self._call("not")

    def __neg__(self) -> Expr:
        return self._call("negate")

    def __abs__(self) -> Expr:
        return self._call("abs")

    def alias(self, name: _Str) -> Expr:
        """The same value under another name.

        Examples
        --------
        >>> (col("usd") * 0.92).alias("eur").name
        'eur'
        """
        if not isinstance(name, _Str):
            raise InvalidError(f"alias wants a column name, not {name!r}")
        return Expr(self._node, name)

    def cast(self, dtype: Any) -> Expr:
        """The value as another type; a value that does not fit is an error.

        Parameters
        ----------
        dtype
            ``"int32"``, ``"timestamp[us]"``, ``"decimal(10, 2)"``, ``float``, a pyarrow type, ...
        """
        return Expr(Call("cast", (self._node,), to_format(dtype)), self._name)

    def is_null(self) -> Expr:
        """True where there is no value."""
        return self._call("is_null")

    def is_not_null(self) -> Expr:
        """True where there is a value."""
        return self._call("is_not_null")

    def is_nan(self) -> Expr:
        """True where a float is not a number."""
        return self._call("is_nan")

    def fill_null(self, value: Any) -> Expr:
        """The value, or another one where it is null."""
        return self._call("coalesce", value)

    def is_in(self, values: Iterable[Any]) -> Expr:
        """True where the value is one of some constants.

        Examples
        --------
        >>> col("carrier").is_in(["UA", "AA"])
        <Expr is_in(carrier, 'UA', 'AA')>
        """
        if isinstance(values, _Str | bytes):
            raise InvalidError(f"is_in wants a list of values, not the text {values!r}")
        if not isinstance(values, Iterable):
            raise InvalidError(f"is_in wants a list of values, not {values!r}")
        constants = list(values)
        if not constants:
            return lit(False)
        return Expr(Call("is_in", (self._node, *(to_literal(value) for value in constants))))

    def is_between(self, low: Any, high: Any) -> Expr:
        """True where ``low <= value <= high``."""
        return self._call("between", low, high)

    between = is_between

    def abs(self) -> Expr:
        """The value without its sign."""
        return self._call("abs")

    def sqrt(self) -> Expr:
        """Square root, as float64."""
        return self._call("sqrt")

    def exp(self) -> Expr:
        """e to the power of the value, as float64."""
        return self._call("exp")

    def log(self) -> Expr:
        """Natural logarithm, as float64."""
        return self._call("log")

    def floor(self) -> Expr:
        """The largest whole number that is not greater."""
        return self._call("floor")

    def ceil(self) -> Expr:
        """The smallest whole number that is not less."""
        return self._call("ceil")

    def round(self, digits: int = 0) -> Expr:
        """The nearest number with so many digits after the point, of two equally near the even.

        Examples
        --------
        >>> col("usd").round(2)
        <Expr round(usd, 2)>
        """
        if not isinstance(digits, int):
            raise InvalidError(f"round wants a whole number of digits, not {digits!r}")
        return self._call("round", integer=digits)

    @property
    def dt(self) -> DateTime:
        """Functions of dates and timestamps, in UTC."""
        return DateTime(self)

    @property
    def str(self) -> Text:
        """Functions of text."""
        return Text(self)


class DateTime:
    """Functions of dates and timestamps, in UTC: ``col("ts").dt.hour()``."""

    __slots__ = ("_expr",)

    def __init__(self, expr: Expr) -> None:
        self._expr = expr

    def _field(self, function: str) -> Expr:
        return Expr(Call(function, (self._expr.node,)))

    def truncate(self, every: Duration) -> Expr:
        """The start of the interval that the time lies in.

        Parameters
        ----------
        every
            ``"week"`` (from Monday), ``"month"``, ``"quarter"``, ``"year"``, or a duration such as
            ``"15m"``, which is counted from 1970-01-01; so ``"1w"`` begins on Thursdays.

        Examples
        --------
        >>> col("ts").dt.truncate("1h")
        <Expr truncate(ts, 3600000000000ns)>
        """
        if every in ("week", "month", "quarter", "year"):
            return Expr(Call("truncate", (self._expr.node,), str(every)))
        ns = parse_duration(every, "truncate interval")
        if ns <= 0:
            raise DurationError(f"truncate interval must be positive, not {every!r}")
        return Expr(Call("truncate", (self._expr.node,), None, ns))

    def year(self) -> Expr:
        """Calendar year."""
        return self._field("year")

    def month(self) -> Expr:
        """Month, 1 to 12."""
        return self._field("month")

    def day(self) -> Expr:
        """Day of the month, 1 to 31."""
        return self._field("day")

    def hour(self) -> Expr:
        """Hour, 0 to 23."""
        return self._field("hour")

    def minute(self) -> Expr:
        """Minute, 0 to 59."""
        return self._field("minute")

    def second(self) -> Expr:
        """Second, 0 to 59."""
        return self._field("second")

    def millisecond(self) -> Expr:
        """Milliseconds within the second."""
        return self._field("millisecond")

    def microsecond(self) -> Expr:
        """Microseconds within the second."""
        return self._field("microsecond")

    def nanosecond(self) -> Expr:
        """Nanoseconds within the second."""
        return self._field("nanosecond")

    def weekday(self) -> Expr:
        """ISO day of the week: Monday is 1, Sunday 7."""
        return self._field("weekday")

    def ordinal_day(self) -> Expr:
        """Day of the year, from 1."""
        return self._field("ordinal_day")

    def date(self) -> Expr:
        """The date, as date32."""
        return self._field("date")

    def epoch(self, unit: str = "us") -> Expr:
        """Whole units since 1970-01-01 as int64; unit: s, ms, us or ns."""
        if unit not in ("s", "ms", "us", "ns"):
            raise InvalidError(f"epoch unit must be 's', 'ms', 'us' or 'ns', not {unit!r}")
        return self._field(f"epoch_{unit}")


class Text:
    """Functions of text: ``col("name").str.starts_with("A")``. Patterns are literal."""

    __slots__ = ("_expr",)

    def __init__(self, expr: Expr) -> None:
        self._expr = expr

    def _call(self, function: str, *others: Any) -> Expr:
        return Expr(Call(function, (self._expr.node, *(to_node(other) for other in others))))

    def starts_with(self, prefix: str) -> Expr:
        """True where the text starts so."""
        return self._call("starts_with", prefix)

    def ends_with(self, suffix: str) -> Expr:
        """True where the text ends so."""
        return self._call("ends_with", suffix)

    def contains(self, part: str) -> Expr:
        """True where the text has this part (literal, not a regular expression)."""
        return self._call("contains", part)

    def len_chars(self) -> Expr:
        """Number of characters."""
        return self._call("str_length")

    def len_bytes(self) -> Expr:
        """Number of bytes in UTF-8."""
        return self._call("str_bytes")

    def to_lowercase(self) -> Expr:
        """Lower case of the ASCII letters."""
        return self._call("to_lowercase")

    def to_uppercase(self) -> Expr:
        """Upper case of the ASCII letters."""
        return self._call("to_uppercase")


class When:
    """``when(...)`` so far; `then` comes next."""

    __slots__ = ("_branches", "_condition")

    def __init__(self, branches: tuple[Node, ...], condition: Any) -> None:
        self._branches = branches
        self._condition = to_node(condition)

    def then(self, value: Any) -> Then:
        """The value where the condition is true."""
        return Then((*self._branches, self._condition, to_node(value)))


class Then(Expr):
    """``when(...).then(...)``: null elsewhere unless `otherwise` or another `when` follows."""

    __slots__ = ("_branches",)

    def __init__(self, branches: tuple[Node, ...]) -> None:
        super().__init__(Call("when", (*branches, to_literal(None))))
        self._branches = branches

    @property
    def name(self) -> _Str:
        """Polars' rule: the name of the first value."""
        return output_name(self._branches[1])

    def when(self, condition: Any) -> When:
        """Another condition, looked at where those before were not true."""
        return When(self._branches, condition)

    def otherwise(self, value: Any) -> Expr:
        """The value where no condition was true."""
        node = Call("when", (*self._branches, to_node(value)))
        return Expr(node, output_name(self._branches[1]))


def to_node(value: Any) -> Node:
    """The tree of an expression, or a constant."""
    return value.node if isinstance(value, Expr) else to_literal(value)


def to_expr(value: Any) -> Expr:
    """A column by its name, or the expression itself."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, str):
        return col(value)
    raise InvalidError(f"expected a column name or an expression, not {value!r}")


def col(name: str) -> Expr:
    """A column by name.

    Examples
    --------
    >>> col("price") > 10
    <Expr (price > 10)>
    """
    if not isinstance(name, str):
        raise InvalidError(f"col wants a column name, not {name!r}")
    return Expr(Column(name))


def lit(value: Any) -> Expr:
    """A constant: None, bool, int, float, str, bytes, datetime, date or timedelta.

    Examples
    --------
    >>> lit("paid")
    <Expr 'paid'>
    """
    return value if isinstance(value, Expr) else Expr(to_literal(value))


def when(condition: Expr) -> When:
    """Start of a choice.

    Examples
    --------
    >>> when(col("delay") > 15).then(lit("late")).otherwise(lit("on time"))
    <Expr when((delay > 15), 'late', 'on time') as literal>
    """
    return When((), condition)


def _variadic(function: str, values: tuple[Any, ...]) -> Expr:
    if not values:
        raise InvalidError(f"{function} wants at least one value")
    nodes = tuple(Column(v) if isinstance(v, str) else to_node(v) for v in values)
    return Expr(Call(function, nodes))


def coalesce(*values: Expr | str | Any) -> Expr:
    """The first of some values that is not null; text means a column.

    Examples
    --------
    >>> coalesce("actual", "planned", lit(0))
    <Expr coalesce(actual, planned, 0)>
    """
    return _variadic("coalesce", values)


def min_horizontal(*values: Expr | str | Any) -> Expr:
    """The least of some values of a row; text means a column."""
    return _variadic("min_horizontal", values)


def max_horizontal(*values: Expr | str | Any) -> Expr:
    """The greatest of some values of a row; text means a column."""
    return _variadic("max_horizontal", values)
