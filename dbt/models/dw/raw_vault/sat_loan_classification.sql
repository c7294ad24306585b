{{ config(indexes=[
    {'columns': ['loan_classification_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('loan_classification', 'credit_loan_classification', ['id'], [
    'classification',
    'effective_from',
    'effective_to',
    'reason',
    'proposed_by',
    'confirmed_by',
    'recorded_at',
    'migrated',
], link_parts=['id', 'loan_id']) }}
