{{ config(materialized='view') }}

{{ history_of(ref('sat_bureau_report'), 'bureau_report') }}
