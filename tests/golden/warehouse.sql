IF OBJECT_ID(N'dl.credit_loan', N'U') IS NULL
CREATE TABLE dl.credit_loan (
    batch_id bigint NOT NULL,
    position_major bigint NOT NULL,
    position_minor bigint NOT NULL,
    operation char(1) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    row_key varchar(max) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    image nvarchar(max) COLLATE Latin1_General_100_CI_AS_SC NULL,
    fingerprint varchar(16) COLLATE Latin1_General_100_BIN2_UTF8 NULL,
    actor nvarchar(128) COLLATE Latin1_General_100_CI_AS_SC NULL,
    traceparent varchar(55) COLLATE Latin1_General_100_BIN2_UTF8 NULL,
    captured_at datetime2(6) NULL,
    CONSTRAINT pk_credit_loan PRIMARY KEY CLUSTERED (batch_id, position_major, position_minor)
);
GO
IF SCHEMA_ID(N'build') IS NULL EXEC (N'CREATE SCHEMA build AUTHORIZATION transformer');
GO
IF SCHEMA_ID(N'ods') IS NULL EXEC (N'CREATE SCHEMA ods AUTHORIZATION transformer');
GO
IF SCHEMA_ID(N'dw') IS NULL EXEC (N'CREATE SCHEMA dw AUTHORIZATION transformer');
GO
IF SCHEMA_ID(N'dm') IS NULL EXEC (N'CREATE SCHEMA dm AUTHORIZATION transformer');
GO
IF SCHEMA_ID(N'ap') IS NULL EXEC (N'CREATE SCHEMA ap AUTHORIZATION transformer');
GO
GRANT CREATE SCHEMA, CREATE TABLE, CREATE VIEW, CREATE FUNCTION, CREATE PROCEDURE TO transformer;
GO
GRANT SELECT ON SCHEMA::dl TO loader, transformer;
GO
GRANT INSERT ON dl.batch TO loader;
GO
GRANT INSERT ON dl.batch_target TO loader;
GO
GRANT INSERT ON dl.quality_result TO loader;
GO
GRANT INSERT, UPDATE ON dl.watermark TO loader;
GO
GRANT UPDATE ON dl.batch_number TO loader;
GO
GRANT SELECT ON SCHEMA::ods TO loader;
GO
GRANT SELECT ON SCHEMA::build TO loader;
GO
GRANT INSERT, DELETE ON dl.credit_loan TO loader;
GO
SELECT position, batch_id FROM dl.watermark WITH (UPDLOCK, ROWLOCK, HOLDLOCK) WHERE flow = CAST(:flow AS varchar(64));
GO
SET LOCK_TIMEOUT 5000;
GO
SELECT NEXT VALUE FOR dl.batch_number;
GO
INSERT INTO dl.credit_loan (batch_id, position_major, position_minor, operation, row_key, image, fingerprint, actor, traceparent, captured_at) SELECT CAST(:batch_id AS bigint), position_major, position_minor, operation, row_key, image, fingerprint, actor, traceparent, captured_at FROM OPENJSON(CAST(:rows AS nvarchar(max))) WITH (position_major bigint '$[0]', position_minor bigint '$[1]', operation nchar(1) '$[2]', row_key nvarchar(max) '$[3]', image nvarchar(max) '$[4]', fingerprint nvarchar(16) '$[5]', actor nvarchar(128) '$[6]', traceparent nvarchar(55) '$[7]', captured_at datetime2(6) '$[8]');
GO
SELECT TOP (:limit) position_major, position_minor, operation, row_key, image, fingerprint, actor, traceparent, captured_at FROM dl.credit_loan WHERE batch_id = :batch_id AND (position_major > :major OR (position_major = :major AND position_minor > :minor)) ORDER BY position_major, position_minor;
GO
DELETE FROM dl.credit_loan WHERE batch_id = :batch_id;
GO
SELECT TOP (1) CONVERT(bigint, stamp) AS major, id AS minor, place AS changes FROM (SELECT TOP (:limit) stamp, id, ROW_NUMBER() OVER (ORDER BY stamp, id) AS place FROM journal.change WHERE stamp >= CONVERT(binary(8), CAST(:after_major AS bigint)) AND (stamp > CONVERT(binary(8), CAST(:after_major AS bigint)) OR id > :after_minor) AND stamp <= CONVERT(binary(8), CAST(:horizon_major AS bigint)) ORDER BY stamp, id) AS batch ORDER BY place DESC;
GO
SELECT table_name, COUNT_BIG(*) AS changes FROM journal.change WHERE stamp >= CONVERT(binary(8), CAST(:after_major AS bigint)) AND (stamp > CONVERT(binary(8), CAST(:after_major AS bigint)) OR id > :after_minor) AND stamp <= CONVERT(binary(8), CAST(:horizon_major AS bigint)) GROUP BY table_name;
GO
IF OBJECT_ID(N'tempdb..#stage_credit_loan') IS NOT NULL DROP TABLE #stage_credit_loan;
GO
SELECT TOP (0) * INTO #stage_credit_loan FROM dl.credit_loan;
GO
SELECT COUNT_BIG(*) FROM (SELECT row_key, operation, image, actor, position_minor, ROW_NUMBER() OVER (PARTITION BY row_key ORDER BY position_major DESC, position_minor DESC) AS age FROM dl.credit_loan) AS latest WHERE age = 1 AND operation <> 'd';
GO
WITH latest AS (SELECT row_key, operation, image, actor, position_minor, ROW_NUMBER() OVER (PARTITION BY row_key ORDER BY position_major DESC, position_minor DESC) AS age FROM dl.credit_loan), found AS (SELECT row_key, operation, image, actor, position_minor, ROW_NUMBER() OVER (PARTITION BY row_key ORDER BY position_major DESC, position_minor DESC) AS age FROM #stage_credit_loan), differing AS (SELECT found.position_minor AS place, CASE WHEN COALESCE(latest.operation, 'd') = 'd' THEN 'c' ELSE 'u' END AS operation, found.row_key, found.image, found.actor FROM found LEFT JOIN latest ON latest.row_key = found.row_key AND latest.age = 1 WHERE found.age = 1 AND (COALESCE(latest.operation, 'd') = 'd' OR latest.image COLLATE Latin1_General_100_BIN2_UTF8 <> found.image COLLATE Latin1_General_100_BIN2_UTF8) ) INSERT INTO dl.credit_loan (batch_id, position_major, position_minor, operation, row_key, image, actor, captured_at) SELECT CAST(:batch_id AS bigint), CAST(:batch_id AS bigint), ROW_NUMBER() OVER (ORDER BY CASE WHEN place IS NULL THEN 1 ELSE 0 END, place, row_key), operation, row_key, image, actor, SYSUTCDATETIME() FROM differing;
GO
WITH latest AS (SELECT row_key, operation, image, actor, position_minor, ROW_NUMBER() OVER (PARTITION BY row_key ORDER BY position_major DESC, position_minor DESC) AS age FROM dl.credit_loan), found AS (SELECT row_key, operation, image, actor, position_minor, ROW_NUMBER() OVER (PARTITION BY row_key ORDER BY position_major DESC, position_minor DESC) AS age FROM #stage_credit_loan), differing AS (SELECT found.position_minor AS place, CASE WHEN COALESCE(latest.operation, 'd') = 'd' THEN 'c' ELSE 'u' END AS operation, found.row_key, found.image, found.actor FROM found LEFT JOIN latest ON latest.row_key = found.row_key AND latest.age = 1 WHERE found.age = 1 AND (COALESCE(latest.operation, 'd') = 'd' OR latest.image COLLATE Latin1_General_100_BIN2_UTF8 <> found.image COLLATE Latin1_General_100_BIN2_UTF8) UNION ALL SELECT CAST(NULL AS bigint), 'd', row_key, NULL, NULL FROM latest WHERE age = 1 AND operation <> 'd' AND NOT EXISTS (SELECT 1 FROM found WHERE found.row_key = latest.row_key) ) INSERT INTO dl.credit_loan (batch_id, position_major, position_minor, operation, row_key, image, actor, captured_at) SELECT CAST(:batch_id AS bigint), CAST(:batch_id AS bigint), ROW_NUMBER() OVER (ORDER BY CASE WHEN place IS NULL THEN 1 ELSE 0 END, place, row_key), operation, row_key, image, actor, SYSUTCDATETIME() FROM differing;
GO
