{{ config(indexes=[
    {'columns': ['loan_hk'], 'unique': true},
    {'columns': ['loan_id']},
]) }}

{{ hub('loan', ['loan_id'], [
    ('credit_loan', ['id']),
    ('credit_instalment', ['loan_id']),
    ('credit_loan_transaction', ['loan_id']),
    ('credit_loan_classification', ['loan_id']),
]) }}
