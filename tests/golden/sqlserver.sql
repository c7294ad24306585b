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
EXEC sp_executesql N'ALTER TABLE journal.change SET (LOCK_ESCALATION = DISABLE)';
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
INSERT INTO journal.backfill (id, table_name, requested_by, requested_at, chunks, rows_done) SELECT NEWID(), 'credit.every_type', N'migration', SYSUTCDATETIME(), 0, 0 WHERE COALESCE((SELECT TOP (1) fingerprint FROM journal.captured_table WHERE table_name = 'credit.every_type' ORDER BY installed_at DESC), CASE WHEN EXISTS (SELECT 1 FROM credit.every_type) THEN '' END) <> 'f780c6014729e7ea';
GO
UPDATE journal.captured_table SET installed_at = SYSUTCDATETIME() WHERE fingerprint = 'f780c6014729e7ea';
GO
INSERT INTO journal.captured_table (fingerprint, table_name, [definition], installed_at) SELECT 'f780c6014729e7ea', 'credit.every_type', N'{"schema":"credit","name":"every_type","columns":[{"name":"a_text","type":"text","nullable":false,"precision":null,"scale":null,"length":null},{"name":"a_char","type":"char","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_xml","type":"xml","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_uuid","type":"uuid","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_boolean","type":"boolean","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_smallint","type":"smallint","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_integer","type":"integer","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_bigint","type":"bigint","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_numeric","type":"numeric","nullable":true,"precision":19,"scale":4,"length":null},{"name":"a_real","type":"real","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_double","type":"double","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_date","type":"date","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_time","type":"time","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_timestamp","type":"timestamp","nullable":true,"precision":3,"scale":null,"length":null},{"name":"a_timestamptz","type":"timestamptz","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_timestamptz_offset_minutes","type":"offset","nullable":true,"precision":null,"scale":null,"length":null},{"name":"a_binary","type":"binary","nullable":true,"precision":null,"scale":null,"length":null}],"key":["a_text","a_uuid","a_char","a_binary"]}', SYSUTCDATETIME() WHERE NOT EXISTS (SELECT 1 FROM journal.captured_table WHERE fingerprint = 'f780c6014729e7ea');
GO
DROP TRIGGER IF EXISTS credit.capture_every_type_insert;
GO
CREATE TRIGGER credit.capture_every_type_insert ON credit.[every_type] AFTER INSERT AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @actor nvarchar(128) = COALESCE(CONVERT(nvarchar(128), SESSION_CONTEXT(N'actor')), ORIGINAL_LOGIN());
    DECLARE @traceparent varchar(55) = CONVERT(varchar(55), SESSION_CONTEXT(N'traceparent'));
    DECLARE @captured_at datetime2(6) = SYSUTCDATETIME();
    INSERT INTO journal.change (table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at) SELECT 'credit.every_type', 'c', '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)), 'json'), '\/', '/') + '"' + ']', (SELECT r.[a_text] AS [a_text], RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8 AS [a_char], CONVERT(nvarchar(max), r.[a_xml]) COLLATE Latin1_General_100_BIN2_UTF8 AS [a_xml], LOWER(CONVERT(char(36), r.[a_uuid])) AS [a_uuid], r.[a_boolean] AS [a_boolean], r.[a_smallint] AS [a_smallint], r.[a_integer] AS [a_integer], CONVERT(varchar(20), r.[a_bigint]) AS [a_bigint], CONVERT(varchar(41), CONVERT(decimal(19, 4), r.[a_numeric])) AS [a_numeric], CONVERT(varchar(32), r.[a_real], 3) AS [a_real], CONVERT(varchar(32), r.[a_double], 3) AS [a_double], CONVERT(char(10), r.[a_date], 23) AS [a_date], CONVERT(char(15), CONVERT(time(6), r.[a_time]), 121) AS [a_time], REPLACE(CONVERT(char(26), CONVERT(datetime2(6), CONVERT(datetime2(3), r.[a_timestamp])), 121), ' ', 'T') AS [a_timestamp], CASE WHEN r.[a_timestamptz] IS NOT NULL THEN REPLACE(CONVERT(char(26), CONVERT(datetime2(6), SWITCHOFFSET(r.[a_timestamptz], '+00:00')), 121), ' ', 'T') + 'Z' END AS [a_timestamptz], CONVERT(varchar(5), DATEPART(tz, r.[a_timestamptz])) AS [a_timestamptz_offset_minutes], LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)) AS [a_binary] FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER), 'f780c6014729e7ea', @actor, @traceparent, @captured_at FROM inserted AS r;
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
    INSERT INTO journal.change (table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at) SELECT 'credit.every_type', 'd', '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)), 'json'), '\/', '/') + '"' + ']', NULL, 'f780c6014729e7ea', @actor, @traceparent, @captured_at FROM deleted AS r WHERE NOT EXISTS (SELECT 1 FROM inserted AS n WHERE n.[a_text] = r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 AND DATALENGTH(n.[a_text]) = DATALENGTH(r.[a_text]) AND n.[a_uuid] = r.[a_uuid] AND n.[a_char] = r.[a_char] COLLATE Latin1_General_100_BIN2_UTF8 AND n.[a_binary] = r.[a_binary] AND DATALENGTH(n.[a_binary]) = DATALENGTH(r.[a_binary]));
    INSERT INTO journal.change (table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at) SELECT 'credit.every_type', 'u', '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)), 'json'), '\/', '/') + '"' + ']', (SELECT r.[a_text] AS [a_text], RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8 AS [a_char], CONVERT(nvarchar(max), r.[a_xml]) COLLATE Latin1_General_100_BIN2_UTF8 AS [a_xml], LOWER(CONVERT(char(36), r.[a_uuid])) AS [a_uuid], r.[a_boolean] AS [a_boolean], r.[a_smallint] AS [a_smallint], r.[a_integer] AS [a_integer], CONVERT(varchar(20), r.[a_bigint]) AS [a_bigint], CONVERT(varchar(41), CONVERT(decimal(19, 4), r.[a_numeric])) AS [a_numeric], CONVERT(varchar(32), r.[a_real], 3) AS [a_real], CONVERT(varchar(32), r.[a_double], 3) AS [a_double], CONVERT(char(10), r.[a_date], 23) AS [a_date], CONVERT(char(15), CONVERT(time(6), r.[a_time]), 121) AS [a_time], REPLACE(CONVERT(char(26), CONVERT(datetime2(6), CONVERT(datetime2(3), r.[a_timestamp])), 121), ' ', 'T') AS [a_timestamp], CASE WHEN r.[a_timestamptz] IS NOT NULL THEN REPLACE(CONVERT(char(26), CONVERT(datetime2(6), SWITCHOFFSET(r.[a_timestamptz], '+00:00')), 121), ' ', 'T') + 'Z' END AS [a_timestamptz], CONVERT(varchar(5), DATEPART(tz, r.[a_timestamptz])) AS [a_timestamptz_offset_minutes], LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)) AS [a_binary] FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER), 'f780c6014729e7ea', @actor, @traceparent, @captured_at FROM inserted AS r;
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
    INSERT INTO journal.change (table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at) SELECT 'credit.every_type', 'd', '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)), 'json'), '\/', '/') + '"' + ']', NULL, 'f780c6014729e7ea', @actor, @traceparent, @captured_at FROM deleted AS r;
END;
GO
EXEC sp_settriggerorder @triggername = N'credit.capture_every_type_delete', @order = N'First', @stmttype = N'DELETE';
GO
DROP PROCEDURE IF EXISTS journal.backfill_credit_every_type;
GO
CREATE PROCEDURE journal.backfill_credit_every_type @after nvarchar(850), @most_rows int AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 500;
    SET DEADLOCK_PRIORITY LOW;
    DECLARE @actor nvarchar(128) = COALESCE(CONVERT(nvarchar(128), SESSION_CONTEXT(N'actor')), ORIGINAL_LOGIN());
    DECLARE @traceparent varchar(55) = CONVERT(varchar(55), SESSION_CONTEXT(N'traceparent'));
    DECLARE @captured_at datetime2(6) = SYSUTCDATETIME();
    DECLARE @done bigint = 0;
    DECLARE @after_0 nvarchar(850) = CONVERT(nvarchar(850), JSON_VALUE(@after, '$[0]')), @end_0 nvarchar(850);
    DECLARE @after_1 uniqueidentifier = CONVERT(uniqueidentifier, JSON_VALUE(@after, '$[1]')), @end_1 uniqueidentifier;
    DECLARE @after_2 nvarchar(850) = CONVERT(nvarchar(850), JSON_VALUE(@after, '$[2]')), @end_2 nvarchar(850);
    DECLARE @after_3 varbinary(850) = CONVERT(varbinary(850), JSON_VALUE(@after, '$[3]'), 2), @end_3 varbinary(850);
    DECLARE @page_end nvarchar(850);
    SELECT TOP (1) @page_end = '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)), 'json'), '\/', '/') + '"' + ']', @end_0 = r.[a_text], @end_1 = r.[a_uuid], @end_2 = r.[a_char], @end_3 = r.[a_binary] FROM (SELECT TOP (@most_rows) r.[a_text], r.[a_uuid], r.[a_char], r.[a_binary] FROM credit.[every_type] AS r WHERE (@after IS NULL OR ((r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 > CONVERT(varchar(850), @after_0 COLLATE Latin1_General_100_BIN2_UTF8)) OR (r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 = CONVERT(varchar(850), @after_0 COLLATE Latin1_General_100_BIN2_UTF8) AND r.[a_uuid] > @after_1) OR (r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 = CONVERT(varchar(850), @after_0 COLLATE Latin1_General_100_BIN2_UTF8) AND r.[a_uuid] = @after_1 AND r.[a_char] COLLATE Latin1_General_100_BIN2_UTF8 > CONVERT(varchar(850), @after_2 COLLATE Latin1_General_100_BIN2_UTF8)) OR (r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 = CONVERT(varchar(850), @after_0 COLLATE Latin1_General_100_BIN2_UTF8) AND r.[a_uuid] = @after_1 AND r.[a_char] COLLATE Latin1_General_100_BIN2_UTF8 = CONVERT(varchar(850), @after_2 COLLATE Latin1_General_100_BIN2_UTF8) AND r.[a_binary] > @after_3))) ORDER BY r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, r.[a_uuid], r.[a_char] COLLATE Latin1_General_100_BIN2_UTF8, r.[a_binary]) AS r ORDER BY r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 DESC, r.[a_uuid] DESC, r.[a_char] COLLATE Latin1_General_100_BIN2_UTF8 DESC, r.[a_binary] DESC OPTION (RECOMPILE);
    INSERT INTO journal.change (table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at) SELECT 'credit.every_type', 'r', '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)), 'json'), '\/', '/') + '"' + ']', (SELECT r.[a_text] AS [a_text], RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8 AS [a_char], CONVERT(nvarchar(max), r.[a_xml]) COLLATE Latin1_General_100_BIN2_UTF8 AS [a_xml], LOWER(CONVERT(char(36), r.[a_uuid])) AS [a_uuid], r.[a_boolean] AS [a_boolean], r.[a_smallint] AS [a_smallint], r.[a_integer] AS [a_integer], CONVERT(varchar(20), r.[a_bigint]) AS [a_bigint], CONVERT(varchar(41), CONVERT(decimal(19, 4), r.[a_numeric])) AS [a_numeric], CONVERT(varchar(32), r.[a_real], 3) AS [a_real], CONVERT(varchar(32), r.[a_double], 3) AS [a_double], CONVERT(char(10), r.[a_date], 23) AS [a_date], CONVERT(char(15), CONVERT(time(6), r.[a_time]), 121) AS [a_time], REPLACE(CONVERT(char(26), CONVERT(datetime2(6), CONVERT(datetime2(3), r.[a_timestamp])), 121), ' ', 'T') AS [a_timestamp], CASE WHEN r.[a_timestamptz] IS NOT NULL THEN REPLACE(CONVERT(char(26), CONVERT(datetime2(6), SWITCHOFFSET(r.[a_timestamptz], '+00:00')), 121), ' ', 'T') + 'Z' END AS [a_timestamptz], CONVERT(varchar(5), DATEPART(tz, r.[a_timestamptz])) AS [a_timestamptz_offset_minutes], LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)) AS [a_binary] FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER), 'f780c6014729e7ea', @actor, @traceparent, @captured_at FROM credit.[every_type] AS r WITH (UPDLOCK, HOLDLOCK) WHERE (@after IS NULL OR ((r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 > CONVERT(varchar(850), @after_0 COLLATE Latin1_General_100_BIN2_UTF8)) OR (r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 = CONVERT(varchar(850), @after_0 COLLATE Latin1_General_100_BIN2_UTF8) AND r.[a_uuid] > @after_1) OR (r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 = CONVERT(varchar(850), @after_0 COLLATE Latin1_General_100_BIN2_UTF8) AND r.[a_uuid] = @after_1 AND r.[a_char] COLLATE Latin1_General_100_BIN2_UTF8 > CONVERT(varchar(850), @after_2 COLLATE Latin1_General_100_BIN2_UTF8)) OR (r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 = CONVERT(varchar(850), @after_0 COLLATE Latin1_General_100_BIN2_UTF8) AND r.[a_uuid] = @after_1 AND r.[a_char] COLLATE Latin1_General_100_BIN2_UTF8 = CONVERT(varchar(850), @after_2 COLLATE Latin1_General_100_BIN2_UTF8) AND r.[a_binary] > @after_3))) AND ((r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 < CONVERT(varchar(850), @end_0 COLLATE Latin1_General_100_BIN2_UTF8)) OR (r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 = CONVERT(varchar(850), @end_0 COLLATE Latin1_General_100_BIN2_UTF8) AND r.[a_uuid] < @end_1) OR (r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 = CONVERT(varchar(850), @end_0 COLLATE Latin1_General_100_BIN2_UTF8) AND r.[a_uuid] = @end_1 AND r.[a_char] COLLATE Latin1_General_100_BIN2_UTF8 < CONVERT(varchar(850), @end_2 COLLATE Latin1_General_100_BIN2_UTF8)) OR (r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 = CONVERT(varchar(850), @end_0 COLLATE Latin1_General_100_BIN2_UTF8) AND r.[a_uuid] = @end_1 AND r.[a_char] COLLATE Latin1_General_100_BIN2_UTF8 = CONVERT(varchar(850), @end_2 COLLATE Latin1_General_100_BIN2_UTF8) AND r.[a_binary] <= @end_3)) OPTION (RECOMPILE);
    SET @done = @@ROWCOUNT;
    SELECT @page_end AS last_key, @done AS rows_written;
END;
GO
DROP PROCEDURE IF EXISTS journal.repair_credit_every_type;
GO
CREATE PROCEDURE journal.repair_credit_every_type @keys nvarchar(max) AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 500;
    SET DEADLOCK_PRIORITY LOW;
    DECLARE @actor nvarchar(128) = COALESCE(CONVERT(nvarchar(128), SESSION_CONTEXT(N'actor')), ORIGINAL_LOGIN());
    DECLARE @traceparent varchar(55) = CONVERT(varchar(55), SESSION_CONTEXT(N'traceparent'));
    DECLARE @captured_at datetime2(6) = SYSUTCDATETIME();
    DECLARE @done bigint = 0;
    DECLARE @wanted TABLE ([a_text] nvarchar(850) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL, [a_uuid] uniqueidentifier NOT NULL, [a_char] nvarchar(850) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL, [a_binary] varbinary(850) NOT NULL);
    INSERT INTO @wanted ([a_text], [a_uuid], [a_char], [a_binary]) SELECT DISTINCT CONVERT(nvarchar(850), JSON_VALUE(k.[value], '$[0]')), CONVERT(uniqueidentifier, JSON_VALUE(k.[value], '$[1]')), CONVERT(nvarchar(850), JSON_VALUE(k.[value], '$[2]')), CONVERT(varbinary(850), JSON_VALUE(k.[value], '$[3]'), 2) FROM OPENJSON(@keys) AS k;
    INSERT INTO journal.change (table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at) SELECT 'credit.every_type', 'd', '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)), 'json'), '\/', '/') + '"' + ']', NULL, 'f780c6014729e7ea', @actor, @traceparent, @captured_at FROM @wanted AS r WHERE NOT EXISTS (SELECT 1 FROM credit.[every_type] AS n WITH (UPDLOCK, HOLDLOCK) WHERE n.[a_text] = r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 AND n.[a_uuid] = r.[a_uuid] AND n.[a_char] = r.[a_char] COLLATE Latin1_General_100_BIN2_UTF8 AND n.[a_binary] = r.[a_binary]);
    SET @done = @@ROWCOUNT;
    INSERT INTO journal.change (table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at) SELECT 'credit.every_type', 'r', '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)), 'json'), '\/', '/') + '"' + ']', (SELECT r.[a_text] AS [a_text], RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8 AS [a_char], CONVERT(nvarchar(max), r.[a_xml]) COLLATE Latin1_General_100_BIN2_UTF8 AS [a_xml], LOWER(CONVERT(char(36), r.[a_uuid])) AS [a_uuid], r.[a_boolean] AS [a_boolean], r.[a_smallint] AS [a_smallint], r.[a_integer] AS [a_integer], CONVERT(varchar(20), r.[a_bigint]) AS [a_bigint], CONVERT(varchar(41), CONVERT(decimal(19, 4), r.[a_numeric])) AS [a_numeric], CONVERT(varchar(32), r.[a_real], 3) AS [a_real], CONVERT(varchar(32), r.[a_double], 3) AS [a_double], CONVERT(char(10), r.[a_date], 23) AS [a_date], CONVERT(char(15), CONVERT(time(6), r.[a_time]), 121) AS [a_time], REPLACE(CONVERT(char(26), CONVERT(datetime2(6), CONVERT(datetime2(3), r.[a_timestamp])), 121), ' ', 'T') AS [a_timestamp], CASE WHEN r.[a_timestamptz] IS NOT NULL THEN REPLACE(CONVERT(char(26), CONVERT(datetime2(6), SWITCHOFFSET(r.[a_timestamptz], '+00:00')), 121), ' ', 'T') + 'Z' END AS [a_timestamptz], CONVERT(varchar(5), DATEPART(tz, r.[a_timestamptz])) AS [a_timestamptz_offset_minutes], LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)) AS [a_binary] FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER), 'f780c6014729e7ea', @actor, @traceparent, @captured_at FROM credit.[every_type] AS r WITH (UPDLOCK, HOLDLOCK) WHERE EXISTS (SELECT 1 FROM @wanted AS n WHERE n.[a_text] = r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8 AND n.[a_uuid] = r.[a_uuid] AND n.[a_char] = r.[a_char] COLLATE Latin1_General_100_BIN2_UTF8 AND n.[a_binary] = r.[a_binary]);
    SET @done = @done + @@ROWCOUNT;
    SELECT CONVERT(nvarchar(850), NULL) AS last_key, @done AS rows_written;
END;
GO
SELECT CONCAT(s.name, '.', o.name) AS name, CASE WHEN EXISTS (SELECT 1 FROM sys.triggers AS g INNER JOIN sys.trigger_events AS e ON e.object_id = g.object_id WHERE g.object_id = o.object_id AND (g.is_disabled = 1 OR e.is_first = 0)) THEN N'' ELSE m.[definition] END AS [text] FROM sys.sql_modules AS m INNER JOIN sys.objects AS o ON o.object_id = m.object_id INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id WHERE (o.type = 'TR' AND o.name LIKE 'capture[_]%') OR (o.type = 'P' AND s.name = N'journal');
GO
GRANT VIEW DEFINITION ON SCHEMA::credit TO relay;
GO
SELECT TOP (1) CONVERT(bigint, stamp) AS major, id AS minor FROM journal.change WHERE stamp <= CONVERT(binary(8), CAST(:horizon_major AS bigint)) ORDER BY stamp DESC, id DESC;
GO
SELECT CONVERT(bigint, stamp) AS major, id AS minor, table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at FROM journal.change WHERE table_name = CAST(:table_name AS varchar(130)) AND [key] LIKE '~["' + CAST(:first_of_key AS varchar(800)) + '"%' ESCAPE '~' ORDER BY stamp, id;
GO
SELECT TOP (1) 1 FROM journal.change WHERE table_name = CAST(:table_name AS varchar(130)) AND [key] = CAST(:key AS varchar(850)) AND stamp >= CONVERT(binary(8), CAST(:major AS bigint)) AND (stamp > CONVERT(binary(8), CAST(:major AS bigint)) OR id > :minor);
GO
GRANT EXECUTE ON journal.backfill_credit_every_type TO relay;
GO
GRANT EXECUTE ON journal.repair_credit_every_type TO relay;
GO
DECLARE @after nvarchar(850) = :after_key, @most_rows int = :most_rows; EXEC journal.backfill_credit_every_type @after = @after, @most_rows = @most_rows;
GO
DECLARE @keys nvarchar(max) = :keys; EXEC journal.repair_credit_every_type @keys = @keys;
GO
SELECT TOP (:limit) CONVERT(bigint, stamp) AS major, id AS minor, table_name, [key], captured_at FROM journal.change WHERE stamp >= CONVERT(binary(8), CAST(:major AS bigint)) AND (stamp > CONVERT(binary(8), CAST(:major AS bigint)) OR id > :minor) AND stamp <= CONVERT(binary(8), CAST(:horizon_major AS bigint)) ORDER BY stamp, id;
GO
DELETE FROM journal.change WHERE stamp <= CONVERT(binary(8), CAST(:major AS bigint)) AND (stamp < CONVERT(binary(8), CAST(:major AS bigint)) OR id <= :minor);
GO
WITH keyed AS (SELECT '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)), 'json'), '\/', '/') + '"' + ']' AS [key], CONCAT(CONVERT(nvarchar(max), N''), COALESCE(N'=' + r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, N'~'), CHAR(31), COALESCE(N'=' + RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8, N'~'), CHAR(31), COALESCE(N'=' + CONVERT(nvarchar(max), r.[a_xml]) COLLATE Latin1_General_100_BIN2_UTF8, N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(char(36), r.[a_uuid])), N'~'), CHAR(31), COALESCE(N'=' + CASE r.[a_boolean] WHEN 1 THEN 'true' WHEN 0 THEN 'false' END, N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(20), r.[a_smallint]), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(20), r.[a_integer]), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(20), r.[a_bigint]), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(41), CONVERT(decimal(19, 4), r.[a_numeric])), N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(char(8), CONVERT(binary(4), r.[a_real]), 2)), N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(char(16), CONVERT(binary(8), r.[a_double]), 2)), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(char(10), r.[a_date], 23), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(char(15), CONVERT(time(6), r.[a_time]), 121), N'~'), CHAR(31), COALESCE(N'=' + REPLACE(CONVERT(char(26), CONVERT(datetime2(6), CONVERT(datetime2(3), r.[a_timestamp])), 121), ' ', 'T'), N'~'), CHAR(31), COALESCE(N'=' + CASE WHEN r.[a_timestamptz] IS NOT NULL THEN REPLACE(CONVERT(char(26), CONVERT(datetime2(6), SWITCHOFFSET(r.[a_timestamptz], '+00:00')), 121), ' ', 'T') + 'Z' END, N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(5), DATEPART(tz, r.[a_timestamptz])), N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)), N'~')) AS row_text FROM credit.[every_type] AS r), hashed AS (SELECT [key], CONVERT(bigint, CONVERT(binary(8), SUBSTRING(HASHBYTES('SHA2_256', CONVERT(varchar(max), row_text COLLATE Latin1_General_100_BIN2_UTF8)), 1, 8))) AS row_hash, (CONVERT(bigint, CONVERT(binary(8), SUBSTRING(HASHBYTES('SHA2_256', CONVERT(varchar(max), [key] COLLATE Latin1_General_100_BIN2_UTF8)), 1, 8))) & 255) AS bucket FROM keyed) SELECT bucket, COUNT_BIG(*), SUM(CONVERT(decimal(38, 0), row_hash)) FROM hashed GROUP BY bucket;
GO
WITH keyed AS (SELECT '[' + '"' + REPLACE(STRING_ESCAPE(r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(char(36), r.[a_uuid])), 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8, 'json'), '\/', '/') + '"' + ',' + '"' + REPLACE(STRING_ESCAPE(LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)), 'json'), '\/', '/') + '"' + ']' AS [key], CONCAT(CONVERT(nvarchar(max), N''), COALESCE(N'=' + r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8, N'~'), CHAR(31), COALESCE(N'=' + RTRIM(r.[a_char]) COLLATE Latin1_General_100_BIN2_UTF8, N'~'), CHAR(31), COALESCE(N'=' + CONVERT(nvarchar(max), r.[a_xml]) COLLATE Latin1_General_100_BIN2_UTF8, N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(char(36), r.[a_uuid])), N'~'), CHAR(31), COALESCE(N'=' + CASE r.[a_boolean] WHEN 1 THEN 'true' WHEN 0 THEN 'false' END, N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(20), r.[a_smallint]), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(20), r.[a_integer]), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(20), r.[a_bigint]), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(41), CONVERT(decimal(19, 4), r.[a_numeric])), N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(char(8), CONVERT(binary(4), r.[a_real]), 2)), N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(char(16), CONVERT(binary(8), r.[a_double]), 2)), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(char(10), r.[a_date], 23), N'~'), CHAR(31), COALESCE(N'=' + CONVERT(char(15), CONVERT(time(6), r.[a_time]), 121), N'~'), CHAR(31), COALESCE(N'=' + REPLACE(CONVERT(char(26), CONVERT(datetime2(6), CONVERT(datetime2(3), r.[a_timestamp])), 121), ' ', 'T'), N'~'), CHAR(31), COALESCE(N'=' + CASE WHEN r.[a_timestamptz] IS NOT NULL THEN REPLACE(CONVERT(char(26), CONVERT(datetime2(6), SWITCHOFFSET(r.[a_timestamptz], '+00:00')), 121), ' ', 'T') + 'Z' END, N'~'), CHAR(31), COALESCE(N'=' + CONVERT(varchar(5), DATEPART(tz, r.[a_timestamptz])), N'~'), CHAR(31), COALESCE(N'=' + LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), r.[a_binary]), 2)), N'~')) AS row_text FROM credit.[every_type] AS r), hashed AS (SELECT [key], CONVERT(bigint, CONVERT(binary(8), SUBSTRING(HASHBYTES('SHA2_256', CONVERT(varchar(max), row_text COLLATE Latin1_General_100_BIN2_UTF8)), 1, 8))) AS row_hash, (CONVERT(bigint, CONVERT(binary(8), SUBSTRING(HASHBYTES('SHA2_256', CONVERT(varchar(max), [key] COLLATE Latin1_General_100_BIN2_UTF8)), 1, 8))) & 255) AS bucket FROM keyed) SELECT [key], row_hash FROM hashed WHERE bucket IN (7, 42);
GO
SELECT CONCAT(s.name, '.', t.name) AS table_name, c.name AS name,
    COALESCE(TYPE_NAME(c.system_type_id), TYPE_NAME(c.user_type_id)) AS type,
    c.max_length AS max_length, c.[precision] AS [precision], c.scale AS scale, c.is_nullable AS nullable,
    CASE WHEN c.is_computed = 1 AND COALESCE(m.is_persisted, 0) = 0 THEN 1 ELSE 0 END AS computed,
    CASE WHEN c.collation_name IS NULL OR c.collation_name LIKE '%[_]BIN%' THEN 0 ELSE 1 END AS ambiguous,
    NULLIF(k.key_ordinal, 0) AS place_in_key
FROM sys.tables AS t
INNER JOIN sys.schemas AS s ON s.schema_id = t.schema_id
INNER JOIN sys.columns AS c ON c.object_id = t.object_id
LEFT JOIN sys.computed_columns AS m ON m.object_id = c.object_id AND m.column_id = c.column_id
LEFT JOIN sys.indexes AS i ON i.object_id = t.object_id AND i.is_primary_key = 1
LEFT JOIN sys.index_columns AS k
    ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.column_id = c.column_id
WHERE CONCAT(s.name, '.', t.name) IN (:tables)
ORDER BY table_name, c.column_id;
GO
SELECT CONCAT(s.name, '.', t.name) AS table_name, g.name AS name,
    MIN(CASE WHEN g.is_disabled = 0 AND e.is_first = 1 THEN 1 ELSE 0 END) AS enabled
FROM sys.triggers AS g
INNER JOIN sys.trigger_events AS e ON e.object_id = g.object_id
INNER JOIN sys.tables AS t ON t.object_id = g.parent_id
INNER JOIN sys.schemas AS s ON s.schema_id = t.schema_id
WHERE CONCAT(s.name, '.', t.name) IN (:tables)
GROUP BY s.name, t.name, g.name
ORDER BY table_name, name;
GO
SELECT f.name AS name,
    CONCAT(OBJECT_SCHEMA_NAME(f.parent_object_id), '.', OBJECT_NAME(f.parent_object_id)) AS table_name,
    CONCAT(OBJECT_SCHEMA_NAME(f.referenced_object_id), '.', OBJECT_NAME(f.referenced_object_id)) AS references_table
FROM sys.foreign_keys AS f
WHERE (f.delete_referential_action <> 0 OR f.update_referential_action <> 0)
AND (
    CONCAT(OBJECT_SCHEMA_NAME(f.parent_object_id), '.', OBJECT_NAME(f.parent_object_id)) IN (:tables)
    OR CONCAT(OBJECT_SCHEMA_NAME(f.referenced_object_id), '.', OBJECT_NAME(f.referenced_object_id)) IN (:tables)
)
ORDER BY table_name, name;
GO
DECLARE @actor nvarchar(128) = :actor, @traceparent varchar(55) = :traceparent; EXEC sp_set_session_context @key = N'actor', @value = @actor; EXEC sp_set_session_context @key = N'traceparent', @value = @traceparent;
GO
SET NOCOUNT ON; DECLARE @result int; SELECT @result = schema_id FROM sys.schemas WHERE name = N'dbo'; EXEC @result = sp_getapplock @Resource = :name, @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 0; SET NOCOUNT OFF; SELECT @result;
GO
SET NOCOUNT ON; DECLARE @result int; SELECT @result = schema_id FROM sys.schemas WHERE name = N'dbo'; EXEC @result = sp_getapplock @Resource = :name, @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 5000; SET NOCOUNT OFF; SELECT @result;
GO
SELECT CONVERT(bigint, MIN_ACTIVE_ROWVERSION());
GO
SELECT TOP (1) DATEDIFF_BIG(millisecond, captured_at, SYSUTCDATETIME()) FROM journal.change WITH (READUNCOMMITTED) WHERE stamp >= MIN_ACTIVE_ROWVERSION() ORDER BY stamp, id;
GO
SELECT major, minor, table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at FROM (SELECT TOP (:limit) CONVERT(bigint, stamp) AS major, id AS minor, table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at, SUM(CONVERT(bigint, ISNULL(DATALENGTH(image), 0))) OVER (ORDER BY stamp, id ROWS UNBOUNDED PRECEDING) - ISNULL(DATALENGTH(image), 0) AS preceding_bytes FROM journal.change WHERE stamp >= CONVERT(binary(8), CAST(:major AS bigint)) AND (stamp > CONVERT(binary(8), CAST(:major AS bigint)) OR id > :minor) AND stamp <= CONVERT(binary(8), CAST(:horizon_major AS bigint)) ORDER BY stamp, id) AS page WHERE preceding_bytes < :size ORDER BY major, minor;
GO
