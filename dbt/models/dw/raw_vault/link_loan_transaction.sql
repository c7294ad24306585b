{{ config(indexes=[
    {'columns': ['link_hk'], 'unique': true},
    {'columns': ['loan_transaction_hk']},
    {'columns': ['loan_hk']},
    {'columns': ['batch_id']},
]) }}

{{ link('loan_transaction', 'credit_loan_transaction', ['id'], {'loan': ['loan_id']}, kept=['id']) }}
