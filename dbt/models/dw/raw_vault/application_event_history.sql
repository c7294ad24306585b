{{ config(materialized='view') }}

{{ history_of(ref('sat_application_event'), 'application_event') }}
