IF SCHEMA_ID(N'credit') IS NULL EXEC (N'CREATE SCHEMA credit');
GO
CREATE TABLE journal.change (
    stamp rowversion NOT NULL,
    id bigint IDENTITY(1, 1) NOT NULL,
    table_name varchar(130) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    operation char(1) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    [key] varchar(850) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    image nvarchar(max) COLLATE Latin1_General_100_CI_AS_SC NULL,
    fingerprint varchar(16) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    actor nvarchar(128) COLLATE Latin1_General_100_CI_AS_SC NOT NULL,
    traceparent varchar(55) COLLATE Latin1_General_100_BIN2_UTF8 NULL,
    captured_at datetime2(6) NOT NULL,
    CONSTRAINT pk_change PRIMARY KEY CLUSTERED (stamp, id)
);
GO
CREATE INDEX ix_change_table_name_key_position ON journal.change (table_name, [key], stamp, id);
GO
CREATE TABLE journal.incarnation (
    id uniqueidentifier NOT NULL CONSTRAINT pk_incarnation PRIMARY KEY,
    created_at datetime2(6) NOT NULL
);
GO
INSERT INTO journal.incarnation (id, created_at) VALUES (NEWID(), SYSUTCDATETIME());
GO
CREATE TABLE journal.captured_table (
    fingerprint varchar(16) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    table_name varchar(130) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    [definition] nvarchar(max) COLLATE Latin1_General_100_CI_AS_SC NOT NULL,
    installed_at datetime2(6) NOT NULL,
    CONSTRAINT pk_captured_table PRIMARY KEY (fingerprint)
);
GO
UPDATE journal.captured_table SET installed_at = SYSUTCDATETIME() WHERE fingerprint = '732bfae6fee5aa47';
GO
INSERT INTO journal.captured_table (fingerprint, table_name, [definition], installed_at) SELECT '732bfae6fee5aa47', 'credit.every_type', N'{"schema":"credit","name":"every_type","columns":[{"name":"a_text","type":"text","nullable":false,"precision":null,"scale":null,"length":null},{"name":"a_uuid","type":"uuid","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_boolean","type":"boolean","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_smallint","type":"smallint","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_integer","type":"integer","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_bigint","type":"bigint","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_numeric","type":"numeric","nullable":true,"precision":19,"scale":4,"length":null},{"name":"a_double","type":"double","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_date","type":"date","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_timestamp","type":"timestamp","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_binary","type":"binary","nullable":true,"precision":null,"scale":null,"length":null}],"key":["a_text","a_uuid"]}', SYSUTCDATETIME() WHERE NOT EXISTS (SELECT 1 FROM journal.captured_table WHERE fingerprint = '732bfae6fee5aa47');
GO
DROP TRIGGER IF EXISTS credit.capture_every_type_insert;
GO
CREATE TRIGGER credit.capture_every_type_insert ON credit.[every_type] AFTER INSERT AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @actor nvarchar(128) = COALESCE(CONVERT(nvarchar(128), SESSION_CONTEXT(N'actor')), ORIGINAL_LOGIN());
    DECLARE @traceparent varchar(55) = CONVERT(varchar(55), SESSION_CONTEXT(N'traceparent'));
    DECLARE @captured_at datetime2(6) = SYSUTCDATETIME();
    INSERT INTO journal.change (table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at) SELECT 'credit.every_type', 'c', '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ']', (SELECT r.[a_text] AS [a_text], LOWER(CONVERT(char(36), r.[a_uuid])) AS [a_uuid], r.[a_boolean] AS [a_boolean], r.[a_smallint] AS [a_smallint], r.[a_integer] AS [a_integer], CONVERT(varchar(20), r.[a_bigint]) AS [a_bigint], CONVERT(varchar(41), CONVERT(decimal(19, 4), r.[a_numeric])) AS [a_numeric], CONVERT(varchar(32), r.[a_double], 3) AS [a_double], CONVERT(char(10), r.[a_date], 23) AS [a_date], REPLACE(CONVERT(char(26), CONVERT(datetime2(6), r.[a_timestamp]), 121), ' ', 'T') AS [a_timestamp], LOWER(CONVERT(varchar(max), r.[a_binary], 2)) AS [a_binary] FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER), '732bfae6fee5aa47', @actor, @traceparent, @captured_at FROM inserted AS r;
END;
GO
EXEC sp_settriggerorder @triggername = N'credit.capture_every_type_insert', @order = N'First', @stmttype = N'INSERT';
GO
DROP TRIGGER IF EXISTS credit.capture_every_type_update;
GO
CREATE TRIGGER credit.capture_every_type_update ON credit.[every_type] AFTER UPDATE AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @actor nvarchar(128) = COALESCE(CONVERT(nvarchar(128), SESSION_CONTEXT(N'actor')), ORIGINAL_LOGIN());
    DECLARE @traceparent varchar(55) = CONVERT(varchar(55), SESSION_CONTEXT(N'traceparent'));
    DECLARE @captured_at datetime2(6) = SYSUTCDATETIME();
    INSERT INTO journal.change (table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at) SELECT 'credit.every_type', 'd', '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ']', NULL, '732bfae6fee5aa47', @actor, @traceparent, @captured_at FROM deleted AS r WHERE NOT EXISTS (SELECT 1 FROM inserted AS n WHERE n.[a_text] = r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 AND DATALENGTH(n.[a_text]) = DATALENGTH(r.[a_text]) AND n.[a_uuid] = r.[a_uuid]);
    INSERT INTO journal.change (table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at) SELECT 'credit.every_type', 'u', '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ']', (SELECT r.[a_text] AS [a_text], LOWER(CONVERT(char(36), r.[a_uuid])) AS [a_uuid], r.[a_boolean] AS [a_boolean], r.[a_smallint] AS [a_smallint], r.[a_integer] AS [a_integer], CONVERT(varchar(20), r.[a_bigint]) AS [a_bigint], CONVERT(varchar(41), CONVERT(decimal(19, 4), r.[a_numeric])) AS [a_numeric], CONVERT(varchar(32), r.[a_double], 3) AS [a_double], CONVERT(char(10), r.[a_date], 23) AS [a_date], REPLACE(CONVERT(char(26), CONVERT(datetime2(6), r.[a_timestamp]), 121), ' ', 'T') AS [a_timestamp], LOWER(CONVERT(varchar(max), r.[a_binary], 2)) AS [a_binary] FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER), '732bfae6fee5aa47', @actor, @traceparent, @captured_at FROM inserted AS r;
END;
GO
EXEC sp_settriggerorder @triggername = N'credit.capture_every_type_update', @order = N'First', @stmttype = N'UPDATE';
GO
DROP TRIGGER IF EXISTS credit.capture_every_type_delete;
GO
CREATE TRIGGER credit.capture_every_type_delete ON credit.[every_type] AFTER DELETE AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @actor nvarchar(128) = COALESCE(CONVERT(nvarchar(128), SESSION_CONTEXT(N'actor')), ORIGINAL_LOGIN());
    DECLARE @traceparent varchar(55) = CONVERT(varchar(55), SESSION_CONTEXT(N'traceparent'));
    DECLARE @captured_at datetime2(6) = SYSUTCDATETIME();
    INSERT INTO journal.change (table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at) SELECT 'credit.every_type', 'd', '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ']', NULL, '732bfae6fee5aa47', @actor, @traceparent, @captured_at FROM deleted AS r;
END;
GO
EXEC sp_settriggerorder @triggername = N'credit.capture_every_type_delete', @order = N'First', @stmttype = N'DELETE';
GO
SELECT TOP (1) CONVERT(bigint, stamp) AS major, id AS minor FROM journal.change WHERE stamp <= CONVERT(binary(8), CAST(:horizon_major AS bigint)) ORDER BY stamp DESC, id DESC;
GO
SELECT CONVERT(bigint, stamp) AS major, id AS minor, table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at FROM journal.change WHERE table_name = :table_name AND [key] LIKE :key_pattern ESCAPE '~' ORDER BY stamp, id;
GO
WITH keyed AS (SELECT '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ']' AS [key], CONCAT(CONVERT(nvarchar(max), N''), COALESCE(N'=' + r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(char(36), r.[a_uuid])), N'~'), CHAR(31), COALESCE(N'=' + CASE r.[a_boolean] WHEN 1 THEN 'true' WHEN 0 THEN 'false' END, N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(20), r.[a_smallint]), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(20), r.[a_integer]), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(20), r.[a_bigint]), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(41), CONVERT(decimal(19, 4), r.[a_numeric])), N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(char(16), CONVERT(binary(8), r.[a_double]), 2)), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(char(10), r.[a_date], 23), N'~'), CHAR(31), COALESCE(N'=' + REPLACE(CONVERT(char(26), CONVERT(datetime2(6), r.[a_timestamp]), 121), ' ', 'T'), N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(varchar(max), r.[a_binary], 2)), N'~')) AS row_text FROM credit.[every_type] AS r), hashed AS (SELECT [key], CONVERT(bigint, CONVERT(binary(8), SUBSTRING(HASHBYTES('SHA2_256', CONVERT(varchar(max), row_text)), 1, 8))) AS row_hash, (CONVERT(bigint, CONVERT(binary(8), SUBSTRING(HASHBYTES('SHA2_256', CONVERT(varchar(max), [key])), 1, 8))) & 255) AS bucket FROM keyed) SELECT bucket, COUNT_BIG(*), SUM(CONVERT(decimal(38, 0), row_hash)) FROM hashed GROUP BY bucket;
GO
WITH keyed AS (SELECT '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ']' AS [key], CONCAT(CONVERT(nvarchar(max), N''), COALESCE(N'=' + r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(char(36), r.[a_uuid])), N'~'), CHAR(31), COALESCE(N'=' + CASE r.[a_boolean] WHEN 1 THEN 'true' WHEN 0 THEN 'false' END, N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(20), r.[a_smallint]), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(20), r.[a_integer]), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(20), r.[a_bigint]), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(41), CONVERT(decimal(19, 4), r.[a_numeric])), N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(char(16), CONVERT(binary(8), r.[a_double]), 2)), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(char(10), r.[a_date], 23), N'~'), CHAR(31), COALESCE(N'=' + REPLACE(CONVERT(char(26), CONVERT(datetime2(6), r.[a_timestamp]), 121), ' ', 'T'), N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(varchar(max), r.[a_binary], 2)), N'~')) AS row_text FROM credit.[every_type] AS r), hashed AS (SELECT [key], CONVERT(bigint, CONVERT(binary(8), SUBSTRING(HASHBYTES('SHA2_256', CONVERT(varchar(max), row_text)), 1, 8))) AS row_hash, (CONVERT(bigint, CONVERT(binary(8), SUBSTRING(HASHBYTES('SHA2_256', CONVERT(varchar(max), [key])), 1, 8))) & 255) AS bucket FROM keyed) SELECT [key], row_hash FROM hashed WHERE bucket = 7;
GO
DECLARE @actor nvarchar(128) = :actor, @traceparent varchar(55) = :traceparent; EXEC sp_set_session_context @key = N'actor', @value = @actor; EXEC sp_set_session_context @key = N'traceparent', @value = @traceparent;
GO
SET NOCOUNT ON; DECLARE @result int; SELECT @result = schema_id FROM sys.schemas WHERE name = N'journal'; EXEC @result = sp_getapplock @Resource = :name, @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 0; SELECT @result;
GO
SELECT CONVERT(bigint, MIN_ACTIVE_ROWVERSION());
GO
SELECT TOP (1) DATEDIFF_BIG(millisecond, captured_at, SYSUTCDATETIME()) FROM journal.change WITH (READUNCOMMITTED) WHERE stamp >= MIN_ACTIVE_ROWVERSION() ORDER BY stamp, id;
GO
SELECT TOP (:limit) CONVERT(bigint, stamp) AS major, id AS minor, table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at FROM journal.change WHERE stamp >= CONVERT(binary(8), CAST(:major AS bigint)) AND (stamp > CONVERT(binary(8), CAST(:major AS bigint)) OR id > :minor) AND stamp <= CONVERT(binary(8), CAST(:horizon_major AS bigint)) ORDER BY stamp, id;
GO
