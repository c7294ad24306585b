"""Which expressions of compiled statements are sums of money, by following columns through CTEs and models."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

AMOUNTS = frozenset(
    {"principal", "interest", "amount", "amount_from", "amount_below", "min_amount", "max_amount"}
)
"""The columns of the typed tables and satellites that are money."""
AGGREGATES = (exp.Sum, exp.Avg)

Kind = tuple[bool, bool]
"""Whether a value is money, and whether it is a sum or comes from one."""
Columns = dict[int, list[tuple[str, Kind]]]
"""The columns of scopes, by the identity of a scope."""
NOTHING: Kind = (False, False)


class Money:
    """The columns of models, filled in as statements are looked at in the order of their dependencies."""

    def __init__(self) -> None:
        self._models: dict[str, dict[str, Kind]] = {}

    def look(self, model: str, statement: exp.Expression) -> list[tuple[exp.Cast, Kind]]:
        """Take in a model's statement; gives its casts to a decimal, with what is cast."""
        casts: list[tuple[exp.Cast, Kind]] = []
        scopes: Columns = {}
        for scope in traverse_scope(statement):
            # By place: a union takes its parts' columns so, and a part may have a name twice, or none.
            columns: list[tuple[str, Kind]] = []
            if scope.set_operation_scopes:
                parts = [scopes[id(one)] for one in scope.set_operation_scopes]
                for same in zip(*parts, strict=True):
                    kinds = [kind for _, kind in same]
                    columns.append((same[0][0], (any(one[0] for one in kinds), any(one[1] for one in kinds))))
            elif isinstance(scope.expression, exp.Select):
                for projection in scope.expression.expressions:
                    if projection.is_star:
                        table = projection.table if isinstance(projection, exp.Column) else ""
                        for name, source in scope.sources.items():
                            if not table or name == table:
                                columns += self._columns_of(source, scopes).items()
                    else:
                        columns.append((projection.alias_or_name, self._kind(projection, scope, scopes)))
                casts += [
                    (cast, self._kind(cast.this, scope, scopes))
                    for cast in scope.expression.find_all(exp.Cast)
                    if cast.to.is_type(exp.DataType.Type.DECIMAL) and cast.parent_select is scope.expression
                ]
            scopes[id(scope)] = columns
        self._models[model] = dict(columns)
        return casts

    def of(self, model: str) -> Mapping[str, Kind]:
        """What the columns of a model are."""
        return self._models[model]

    def _columns_of(self, source: Scope | exp.Expression, scopes: Columns) -> dict[str, Kind]:
        if isinstance(source, Scope):
            return dict(scopes.get(id(source), []))
        name = source.name if isinstance(source, exp.Table) else ""
        return dict(self._models.get(name, {}))

    def _kind(self, node: exp.Expression, scope: Scope, scopes: Columns) -> Kind:
        if isinstance(node, exp.Column):
            return self._kind_of_column(node, scope, scopes)
        if isinstance(node, exp.Count | exp.Subquery | exp.Select | exp.Predicate):
            return NOTHING
        if isinstance(node, exp.Case):
            children = [*(one.args["true"] for one in node.args["ifs"]), node.args.get("default")]
        elif isinstance(node, exp.Window):
            children = [node.this]
        else:
            children = list(node.iter_expressions())
        found = [self._kind(child, scope, scopes) for child in children if child is not None]
        money = any(one[0] for one in found)
        summed = any(one[1] for one in found if one[0]) or (money and isinstance(node, AGGREGATES))
        return money, summed

    def _kind_of_column(self, node: exp.Column, scope: Scope, scopes: Columns) -> Kind:
        sources = [scope.sources[node.table]] if node.table in scope.sources else list(scope.sources.values())
        for source in sources:
            if isinstance(source, exp.Table) and source.name.startswith(("sat_", "credit_")):
                if node.name in AMOUNTS:
                    return True, False
            elif node.name in (columns := self._columns_of(source, scopes)):
                return columns[node.name]
        return NOTHING
