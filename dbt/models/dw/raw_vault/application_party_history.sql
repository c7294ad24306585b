{{ config(materialized='view') }}

{{ history_of(ref('sat_application_party'), 'application_party') }}
