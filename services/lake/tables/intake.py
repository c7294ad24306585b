"""Intake's private tables; none of them is captured."""

import sqlalchemy as sa

from services.lake.tables.applications import application_version, bureau_report, document, party
from services.lake.tables.columns import metadata, one_of, own_id, required
from services.lake.types import UtcDateTime, binary, code, long_binary, long_text, text

# Not captured: intake's record of requests, so that a repeated one is answered with what the first made.
idempotency_key = sa.Table(
    "idempotency_key",
    metadata,
    sa.Column("caller", sa.Uuid, primary_key=True),
    sa.Column("key", code(128), primary_key=True),
    required("request_sha256", binary(32)),
    required("status", sa.Integer),
    required("made_id", sa.Uuid),
    required("created_at", UtcDateTime),
    sa.Index("ix_idempotency_key_created_at", "created_at"),
    schema="intake",
    implicit_returning=False,
)

# Not captured: the keys by which intake finds two parties with one national id, and the confirmations.
party_national_id = sa.Table(
    "party_national_id",
    metadata,
    sa.Column("party_id", sa.ForeignKey(party.c.id), primary_key=True),
    required("national_id_key", text(64)),
    sa.Index("ix_party_national_id_key", "national_id_key"),
    schema="intake",
    implicit_returning=False,
)

# Not captured: keyed hashes of what identifies parties; see `services/intake/parties/tags.py`.
person_tag = sa.Table(
    "person_tag",
    metadata,
    sa.Column("party_id", sa.ForeignKey(party.c.id), primary_key=True),
    required("key_id", code(16)),
    required("party_revision", sa.Integer),
    sa.Column("national_id_tag", binary(32)),
    sa.Column("email_tag", binary(32)),
    sa.Column("phone_tag", binary(32)),
    sa.Column("person_tag", binary(32)),
    *(
        sa.Index(f"ix_person_tag_{name}", name)
        for name in ("national_id_tag", "email_tag", "phone_tag", "person_tag")
    ),
    schema="intake",
    implicit_returning=False,
)

national_id_confirmation = sa.Table(
    "national_id_confirmation",
    metadata,
    own_id(),
    required("national_id_key", text(64)),
    required("reason", text(1000)),
    required("confirmed_by", sa.Uuid),
    required("confirmed_at", UtcDateTime),
    sa.Column("party_id", sa.Uuid, sa.ForeignKey(party.c.id)),
    sa.Column("used_by", sa.Uuid),
    sa.Column("used_at", UtcDateTime),
    sa.CheckConstraint("used_by IS NULL OR used_by <> confirmed_by", name="four_eyes"),
    sa.CheckConstraint(
        "(party_id IS NULL AND used_by IS NULL AND used_at IS NULL) "
        "OR (party_id IS NOT NULL AND used_by IS NOT NULL AND used_at IS NOT NULL)",
        name="use",
    ),
    sa.Index("ix_national_id_confirmation_key", "national_id_key"),
    schema="intake",
    implicit_returning=False,
)

# Not captured: what is known of a document's content. `next_attempt_at` is when a scan is due, and while one is under
# way when others may attempt it again; NULL when nothing is to be done.
document_scan = sa.Table(
    "document_scan",
    metadata,
    sa.Column("document_id", sa.ForeignKey(document.c.id), primary_key=True),
    required("state", code(16)),
    required("scanner", code(16)),
    sa.Column("finding", text(200)),
    required("attempts", sa.Integer),
    sa.Column("next_attempt_at", UtcDateTime),
    sa.Column("scanned_at", UtcDateTime),
    one_of("state", ("waiting", "clean", "infected", "failed")),
    sa.Index("ix_document_scan_next_attempt_at", "next_attempt_at"),
    schema="intake",
    implicit_returning=False,
)

# Not captured: what is asked of the credit bureau, and what became of it. The answers themselves are `bureau_report`.
# `next_attempt_at` is as in `document_scan`.
bureau_request = sa.Table(
    "bureau_request",
    metadata,
    sa.Column("application_id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("party_id", sa.ForeignKey(party.c.id), primary_key=True),
    required("outcome", code(16)),
    sa.Column("reason", code(32)),
    required("provider", code(64)),
    required("requested_at", UtcDateTime),
    required("attempts", sa.Integer),
    sa.Column("next_attempt_at", UtcDateTime),
    sa.Column("report_id", sa.Uuid, sa.ForeignKey(bureau_report.c.id)),
    sa.Column("answered_at", UtcDateTime),
    sa.ForeignKeyConstraint(
        ["application_id", "version"],
        [application_version.c.application_id, application_version.c.version],
        name="fk_bureau_request_version",
    ),
    one_of("outcome", ("waiting", "found", "not_found", "inconclusive")),
    # Whoever decides learns why nothing is known.
    sa.CheckConstraint("outcome <> 'inconclusive' OR reason IS NOT NULL", name="reason"),
    sa.Index("ix_bureau_request_next_attempt_at", "next_attempt_at"),
    schema="intake",
    implicit_returning=False,
)

# Not captured: a file of applications or payments that somebody sent, and how far its rows are written. `line` is the
# last line of the file that is. `next_attempt_at` is as in `document_scan`; it is NULL when the import has ended.
import_file = sa.Table(
    "import_file",
    metadata,
    own_id(),
    required("kind", code(16)),
    required("format", code(16)),
    required("gzipped", sa.Boolean),
    required("state", code(16)),
    required("object_key", code(512)),
    required("size_bytes", sa.BigInteger),
    required("sha256", binary(32)),
    required("row_count", sa.Integer),
    required("line", sa.Integer),
    required("made", sa.Integer),
    required("repeated", sa.Integer),
    required("rejected", sa.Integer),
    required("created_by", sa.Uuid),
    required("roles", code(1000)),
    required("scopes", code(1000)),
    sa.Column("traceparent", code(64)),
    required("created_at", UtcDateTime),
    sa.Column("started_at", UtcDateTime),
    sa.Column("written_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    required("attempts", sa.Integer),
    sa.Column("next_attempt_at", UtcDateTime),
    one_of("kind", ("applications", "payments")),
    one_of("format", ("ndjson", "csv")),
    one_of("state", ("waiting", "running", "done", "failed")),
    sa.CheckConstraint(
        "(state IN ('waiting', 'running') AND ended_at IS NULL AND next_attempt_at IS NOT NULL) "
        "OR (state IN ('done', 'failed') AND ended_at IS NOT NULL AND next_attempt_at IS NULL)",
        name="ending",
    ),
    sa.CheckConstraint("made + repeated + rejected <= row_count", name="counts"),
    sa.Index("ix_import_file_next_attempt_at", "next_attempt_at"),
    sa.Index("ix_import_file_created_by_created_at", "created_by", "created_at", "id"),
    schema="intake",
    implicit_returning=False,
)

# What is wrong with a row: never what the row says. A row has at most fifty faults.
import_fault = sa.Table(
    "import_fault",
    metadata,
    sa.Column("import_id", sa.ForeignKey(import_file.c.id), primary_key=True),
    sa.Column("line", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    required("pointer", code(200)),
    required("detail", text(1000)),
    schema="intake",
    implicit_returning=False,
)

# The identity of a row that was written: whoever sends it again gets nothing twice. `reference` is the row's
# external_ref, else the hash of its file with its line. It is looked up by its sender: two may use the same numbers.
imported_row = sa.Table(
    "imported_row",
    metadata,
    sa.Column("sender", sa.Uuid, primary_key=True),
    sa.Column("kind", code(16), primary_key=True),
    sa.Column("reference", code(80), primary_key=True),
    required("sha256", binary(32)),
    required("record_id", sa.Uuid),
    required("recorded_at", UtcDateTime),
    sa.Column("import_id", sa.Uuid, sa.ForeignKey(import_file.c.id)),
    sa.Column("line", sa.Integer),
    one_of("kind", ("applications", "payments")),
    sa.Index("ix_imported_row_import_id_line", "import_id", "line"),
    schema="intake",
    implicit_returning=False,
)

# Not captured: a record of Kafka that could not be written as it is. It is there once, however often it is read.
# `problem` never says what the record says. `payload` is encrypted; of a value that is longer than a row may be it is
# the beginning, and `payload_bytes` is the length of the whole. Both are NULL where the record had no value, or could
# not be read at all.
rejected_record = sa.Table(
    "rejected_record",
    metadata,
    own_id(),
    required("sender", sa.Uuid),
    required("kind", code(16)),
    required("topic", code(249)),
    required("partition_number", sa.Integer),
    required("record_offset", sa.BigInteger),
    sa.Column("reference", code(64)),
    required("problem", long_text()),
    sa.Column("payload", long_binary()),
    sa.Column("payload_bytes", sa.Integer),
    sa.Column("traceparent", code(64)),
    required("received_at", UtcDateTime),
    one_of("kind", ("applications", "payments")),
    sa.CheckConstraint(
        "(payload IS NULL AND payload_bytes IS NULL) OR (payload IS NOT NULL AND payload_bytes IS NOT NULL)",
        name="payload",
    ),
    sa.UniqueConstraint("topic", "partition_number", "record_offset"),
    sa.Index("ix_rejected_record_received_at", "received_at", "id"),
    schema="intake",
    implicit_returning=False,
)
