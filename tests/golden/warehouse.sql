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
GRANT INSERT, DELETE ON dl.credit_loan TO loader;
GO
SELECT position, batch_id FROM dl.watermark WITH (UPDLOCK, ROWLOCK, HOLDLOCK) WHERE flow = CAST(:flow AS varchar(64));
GO
SET LOCK_TIMEOUT 5000;
GO
SELECT NEXT VALUE FOR dl.batch_number;
GO
INSERT INTO credit_loan (batch_id, position_major, position_minor, operation, row_key, image, fingerprint, actor, traceparent, captured_at) SELECT CAST(:batch_id AS bigint), position_major, position_minor, operation, row_key, image, fingerprint, actor, traceparent, captured_at FROM OPENJSON(CAST(:rows AS nvarchar(max))) WITH (position_major bigint '$[0]', position_minor bigint '$[1]', operation nchar(1) '$[2]', row_key nvarchar(max) '$[3]', image nvarchar(max) '$[4]', fingerprint nvarchar(16) '$[5]', actor nvarchar(128) '$[6]', traceparent nvarchar(55) '$[7]', captured_at datetime2(6) '$[8]');
GO
SELECT TOP (:limit) position_major, position_minor, operation, row_key, image, fingerprint, actor, traceparent, captured_at FROM dl.credit_loan WHERE batch_id = :batch_id AND (position_major > :major OR (position_major = :major AND position_minor > :minor)) ORDER BY position_major, position_minor;
GO
