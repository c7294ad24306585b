{{ config(materialized='view') }}

{{ history_of(ref('sat_loan_classification'), 'loan_classification') }}
