"""YAML as the tree of its nodes: composed if it is not too deep to be, and walked without recursion, however its aliases lead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

MOST, DEEPEST = 100_000, 50
"""How many values a file may say, its aliases written out, and how deep they may stand within one another."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def compose(text: str) -> Any:
    """The root node of a text, None of an empty one; raises YAMLError for what is none, or so deep that libyaml would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        mark: Any = event.start_mark
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"more than {DEEPEST} levels stand within one another", problem_mark=mark)
    return yaml.compose(text, Loader=_LOADER)


def below(node: Any) -> list[Any]:
    """The nodes right below one: keys and values, or entries."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def nodes(root: Any) -> Iterator[Any]:
    """Every node, in the order of the file and once each, however many aliases lead there."""
    seen, pending = set(), [root]
    while pending:
        node = pending.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            pending += reversed(below(node))


def circular(root: Any) -> Any:
    """A node that is below itself, None where there is none."""
    above, done, pending = set(), set(), [(root, False)]
    while pending:
        node, leaving = pending.pop()
        if leaving:
            above.discard(id(node))
            done.add(id(node))
        elif id(node) in above:
            return node
        elif id(node) not in done:
            above.add(id(node))
            pending += [(node, True), *((part, False) for part in below(node))]
    return None


def extent(root: Any) -> tuple[int, int]:
    """How many nodes there are with every alias written out, and how many stand within one another at most; no node is below itself."""
    found: dict[int, tuple[int, int]] = {}
    pending = [(root, False)]
    while pending:
        node, leaving = pending.pop()
        if leaving:
            parts = [found[id(part)] for part in below(node)]
            found[id(node)] = 1 + sum(values for values, _ in parts), 1 + max((depth for _, depth in parts), default=0)
        elif id(node) not in found:
            pending += [(node, True), *((part, False) for part in below(node))]
    return found[id(root)]
