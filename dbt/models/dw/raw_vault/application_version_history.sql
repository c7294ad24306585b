{{ config(materialized='view') }}

{{ history_of(ref('sat_application_version'), 'application_version') }}
