"""Arithmetic over named numbers, as text: what a claim about cost is recomputed with.

A formula has numbers, names, `+ - * / **`, brackets and the functions of `FUNCTIONS`; nothing else can be written in
it, so that a formula from a file can neither call nor read anything.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vtbench.errors import CostError, suggest


def percent_fewer(a: float, b: float) -> float:
    """Return how many percent fewer `a` is than `b`."""
    return 100 * (1 - a / b)


def spread(*values: float) -> float:
    """Return by how many percent the largest value exceeds the smallest."""
    return 100 * (max(values) / min(values) - 1)


def mean(*values: float) -> float:
    """Return the arithmetic mean."""
    return math.fsum(values) / len(values)


FUNCTIONS: dict[str, Callable[..., float]] = {
    "percent_fewer": percent_fewer,
    "spread": spread,
    "mean": mean,
    "min": min,
    "max": max,
    "log2": math.log2,
}
"""What a formula may call."""

_COUNTS = {"percent_fewer": (2, 2), "spread": (2, None), "mean": (1, None), "min": (2, None), "max": (2, None)}
"""Least and largest number of arguments; those not named here take one."""
_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[float], float]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_LARGEST_EXPONENT = 64
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Formula:
    """A checked formula; made by `parse_formula`."""

    text: str
    names: frozenset[str]
    """The names whose numbers it needs."""

    def evaluate(self, values: Mapping[str, float]) -> float:
        """Return the result for the numbers in `values`, which has all `names`.

        Raises:
            CostError: there is none, for example because something is divided by zero.
        """
        try:
            result = float(_evaluate(_tree(self.text), values))
        except (ArithmeticError, ValueError, TypeError) as error:
            raise CostError(f"'{self.text}' has no result: {error}.") from error
        if not math.isfinite(result):
            raise CostError(f"'{self.text}' has no finite result.")
        return result

    def written_out(self, texts: Mapping[str, str]) -> str:
        """Return the formula with a text in the place of each name, for example `298.9 G / 89.5 G`."""
        return _NAME.sub(lambda match: texts.get(match[0], match[0]), self.text)


def parse_formula(text: str) -> Formula:
    """Check a formula.

    Raises:
        ValueError: it is not arithmetic, or calls something that there is not.
    """
    names: set[str] = set()
    _check(_tree(text), names)
    return Formula(text=" ".join(text.split()), names=frozenset(names))


def _tree(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"'{text}' is not arithmetic ({error.msg})") from error


def _check(node: ast.expr, names: set[str]) -> None:
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float()):
            return
        case ast.Name(id=name):
            if name in FUNCTIONS:
                raise ValueError(f"'{name}' is a function; write {name}(...)")
            names.add(name)
            return
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            _check(left, names)
            _check(right, names)
            return
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            _check(operand, names)
            return
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            _check_call(name, len(arguments))
            for argument in arguments:
                _check(argument, names)
            return
    raise ValueError(
        f"'{ast.unparse(node)}' cannot stand in a formula; there are numbers, names, + - * / **, brackets and "
        f"{', '.join(sorted(FUNCTIONS))}"
    )


def _check_call(name: str, count: int) -> None:
    if name not in FUNCTIONS:
        raise ValueError(f"there is no function '{name}'.{suggest(name, FUNCTIONS)}".removesuffix("."))
    least, largest = _COUNTS.get(name, (1, 1))
    if count < least or (largest is not None and count > largest):
        wanted = f"{least}" if largest == least else f"at least {least}"
        raise ValueError(f"{name} takes {wanted} argument{'s' if wanted != '1' else ''}, not {count}")


def _evaluate(node: ast.expr, values: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _evaluate(left, values), _evaluate(right, values)
            if isinstance(op, ast.Pow) and abs(b) > _LARGEST_EXPONENT:
                raise ArithmeticError(f"the exponent {b:g} is above {_LARGEST_EXPONENT}")
            return _BINARY[type(op)](a, b)
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_evaluate(operand, values))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return FUNCTIONS[name](*(_evaluate(argument, values) for argument in arguments))
    raise AssertionError(ast.dump(node))
