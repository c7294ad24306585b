-- The hash contract in T-SQL, as dbt compiles it for SQL Server: each row of the result must have matches = 1.
-- {"text": "Nguy\u1ec5n Th\u1ecb \u00c1nh Tuy\u1ebft", "hash": "ec767750a0f05cb445ea20dc322f2b75e1b651ca0244579b4d761ef28ea8e5f9"}
-- {"text": "Nguye\u0302\u0303n Thi\u0323 A\u0301nh Tuye\u0302\u0301t", "hash": "fb295c753b5d2e80323e3d503412bc2978c3e18d099f0e0424c338da965f4c63"}
-- {"text": "", "hash": "380918b946a526640a40df5dced6516794f3d97bbd9e6bb553d037c4439f31c3"}
-- {"text": "~", "hash": "4868d488f79f5cad26dc8a43a1ad7c8fe0d21adbe98a4d5220375a531cfe0249"}
-- {"text": null, "hash": "7ace431cb61584cb9b8dc7ec08cf38ac0a2d649660be86d349fb43108b542fa4"}
SELECT
    c.text,
    CASE WHEN lower(convert(char(64), hashbytes('SHA2_256', convert(varchar(max), (coalesce(N'=' + cast(c.text as nvarchar(max)), N'~')) collate Latin1_General_100_BIN2_UTF8)), 2)) = c.expected THEN 1 ELSE 0 END AS matches
FROM (VALUES
    (N'Nguyễn Thị Ánh Tuyết', 'ec767750a0f05cb445ea20dc322f2b75e1b651ca0244579b4d761ef28ea8e5f9'),
    (N'Nguyễn Thị Ánh Tuyết', 'fb295c753b5d2e80323e3d503412bc2978c3e18d099f0e0424c338da965f4c63'),
    (N'', '380918b946a526640a40df5dced6516794f3d97bbd9e6bb553d037c4439f31c3'),
    (N'~', '4868d488f79f5cad26dc8a43a1ad7c8fe0d21adbe98a4d5220375a531cfe0249'),
    (CAST(NULL AS nvarchar(max)), '7ace431cb61584cb9b8dc7ec08cf38ac0a2d649660be86d349fb43108b542fa4')
) AS c(text, expected);
