"""PostgreSQL: the functions of capture: how they are created, and how the catalogue shows them."""

from dataclasses import dataclass

SELECT_FUNCTIONS = """
SELECT n.nspname || '.' || p.proname AS name,
    (SELECT coalesce(string_agg(setting, ';' ORDER BY setting), '') FROM unnest(p.proconfig) AS setting)
        || CASE WHEN p.prosecdef THEN '' ELSE ' with the rights of its caller' END || E'\\n' || p.prosrc AS text
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = 'journal' AND p.proname ~ '^(capture|backfill|repair)_'
"""
"""(name, text) of every function that is installed, text as `Function.installed`."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function in PL/pgSQL with its owner's rights."""

    name: str
    """With its schema."""
    returns: str
    settings: tuple[str, ...]
    """Settings in force while it runs, each `name = value`."""
    body: str
    parameters: tuple[tuple[str, str], ...] = ()
    """Name and type of each."""

    def create(self, *, replace: bool = False) -> str:
        """Give the statement; with `replace` it replaces a function of the same parameters and result."""
        parameters = ", ".join(f"{name} {type_}" for name, type_ in self.parameters)
        settings = " ".join(f"SET {setting}" for setting in self.settings)
        return (
            f"CREATE {'OR REPLACE ' if replace else ''}FUNCTION {self.name}({parameters}) RETURNS {self.returns} "
            f"LANGUAGE plpgsql SECURITY DEFINER\n{settings} AS $${self.body}$$"
        )

    @property
    def signature(self) -> str:
        """Name and types, as DROP and GRANT take them."""
        return f"{self.name}({', '.join(type_ for _, type_ in self.parameters)})"

    @property
    def installed(self) -> str:
        """The function's text in the result of `SELECT_FUNCTIONS`."""
        settings = sorted(setting.replace(" = ", "=").replace("'", "") for setting in self.settings)
        return f"{';'.join(settings)}\n{self.body}"
