"""Adds normalisation, documents and prefix queries, and the function that prepares the replica for them."""

from textwrap import dedent

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Functions with RETURN resolve the functions that they call at creation: no search_path can change them, and
# the sink needs no rights on schema `search` to keep the indexes that use them.
STATEMENTS = (
    # Letters without their marks, words without their punctuation. In Unicode đ is a separate letter without a
    # decomposition, but people who type without accents type d.
    r"""
    CREATE FUNCTION search.normalise(value text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN lower(translate(
        regexp_replace(
            regexp_replace(normalize(value, NFKD), '[\u0300-\u036f]+', '', 'g'),
            '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u007f]+', ' ', 'g'
        ),
        'đĐ', 'dd'
    ))
    """,
    """
    CREATE FUNCTION search.party_document(full_name text, email text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector('simple', search.normalise(coalesce(full_name, '') || ' ' || coalesce(email, '')))
    """,
    """
    CREATE FUNCTION search.purpose_document(purpose text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector('simple', search.normalise(coalesce(purpose, '')))
    """,
    # NULL, which matches nothing, when there is no word to look for.
    """
    CREATE FUNCTION search.prefix_query(words text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT to_tsquery('simple', string_agg(quote_literal(word) || ':*', ' & '))
        FROM regexp_split_to_table(search.normalise(words), ' +') AS word
        WHERE word <> ''
    )
    """,
    """
    CREATE TABLE search.replica_index (
        name text NOT NULL CONSTRAINT pk_replica_index PRIMARY KEY,
        table_name text NOT NULL,
        definition text NOT NULL
    )
    """,
    """
    INSERT INTO search.replica_index (name, table_name, definition) VALUES
    ('search_party_document', 'credit.party', 'USING gin (search.party_document(full_name, email))'),
    ('search_version_purpose', 'credit.application_version', 'USING gin (search.purpose_document(purpose))'),
    ('search_version_maker', 'credit.application_version', '(maker)'),
    ('search_application_submitted_at', 'credit.application', '(submitted_at DESC, id DESC)'),
    ('search_application_id_text', 'credit.application', '((id::text) text_pattern_ops)'),
    ('search_application_party_party_id', 'credit.application_party', '(party_id)'),
    ('search_event_application_id', 'credit.application_event', '(application_id)'),
    ('search_decision_application_id', 'credit.decision', '(application_id)'),
    ('search_loan_application_id', 'credit.loan', '(application_id)'),
    ('search_loan_transaction_loan_id', 'credit.loan_transaction', '(loan_id)')
    """,
    # The sink owns the replica's tables and creates them at its first run, so the indexes come later. Search calls
    # this function, which creates them with its owner's rights; search itself has no right to DDL.
    """
    CREATE FUNCTION search.prepare_replica() RETURNS text[]
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        wanted record;
        missing text[] := '{}';
    BEGIN
        FOR wanted IN SELECT name, table_name, definition FROM search.replica_index ORDER BY name LOOP
            IF to_regclass(wanted.table_name) IS NULL THEN
                missing := missing || wanted.table_name;
            -- Looked up first: CREATE INDEX IF NOT EXISTS would wait for the sink's writes to find that it does.
            ELSIF to_regclass('credit.' || wanted.name) IS NULL THEN
                PERFORM pg_advisory_xact_lock(hashtextextended('search.prepare_replica', 0));
                EXECUTE format(
                    'CREATE INDEX IF NOT EXISTS %I ON %s %s', wanted.name, wanted.table_name, wanted.definition
                );
            END IF;
        END LOOP;
        RETURN ARRAY(SELECT DISTINCT name FROM unnest(missing) AS name ORDER BY name);
    END
    $$
    """,
    "REVOKE ALL ON FUNCTION search.prepare_replica() FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION search.prepare_replica() TO search",
    "GRANT USAGE ON SCHEMA search TO search",
)


def upgrade() -> None:
    """Create everything of schema `search`."""
    for statement in STATEMENTS:
        op.execute(dedent(statement))


def downgrade() -> None:
    """Drop the objects of `upgrade`, and the indexes that its function created."""
    for kind in (
        "FUNCTION search.prepare_replica()",
        "TABLE search.replica_index",
        "FUNCTION search.prefix_query(text)",
        "FUNCTION search.purpose_document(text) CASCADE",
        "FUNCTION search.party_document(text, text) CASCADE",
        "FUNCTION search.normalise(text) CASCADE",
    ):
        op.execute(f"DROP {kind}")
