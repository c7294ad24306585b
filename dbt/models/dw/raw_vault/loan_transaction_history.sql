{{ config(materialized='view') }}

{{ history_of(ref('sat_loan_transaction'), 'loan_transaction') }}
