{{ config(indexes=[
    {'columns': ['instalment_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('instalment', 'credit_instalment', ['loan_id', 'number'], [
    'due_on',
    'principal',
    'interest',
], link_parts=['loan_id', 'number']) }}
