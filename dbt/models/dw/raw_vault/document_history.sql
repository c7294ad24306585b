{{ config(materialized='view') }}

{{ history_of(ref('sat_document'), 'document') }}
