{{ config(indexes=[
    {'columns': ['link_hk'], 'unique': true},
    {'columns': ['loan_classification_hk']},
    {'columns': ['loan_hk']},
    {'columns': ['batch_id']},
]) }}

{{ link('loan_classification', 'credit_loan_classification', ['id'], {'loan': ['loan_id']}, kept=['id']) }}
