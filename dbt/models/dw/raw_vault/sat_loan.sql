{{ config(indexes=[
    {'columns': ['loan_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('loan', 'credit_loan', ['id'], [
    'principal',
    'currency',
    'interest_rate',
    'term_months',
    'booked_by',
    'booked_at',
    'restructured',
    'defaulted',
    'external_ref',
    'migrated',
], link_parts=['id', 'application_id', 'product_code', 'borrower_id']) }}
