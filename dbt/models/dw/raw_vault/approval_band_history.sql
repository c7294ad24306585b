{{ config(materialized='view') }}

{{ history_of(ref('sat_approval_band'), 'approval_band') }}
