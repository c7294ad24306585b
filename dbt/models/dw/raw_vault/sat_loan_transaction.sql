{{ config(indexes=[
    {'columns': ['loan_transaction_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('loan_transaction', 'credit_loan_transaction', ['id'], [
    'kind',
    'amount',
    'currency',
    'effective_on',
    'reverses',
    'recorded_by',
    'recorded_at',
    'migrated',
], link_parts=['id', 'loan_id']) }}
