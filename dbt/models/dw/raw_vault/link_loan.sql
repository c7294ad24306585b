{{ config(indexes=[
    {'columns': ['link_hk'], 'unique': true},
    {'columns': ['loan_hk']},
    {'columns': ['application_hk']},
    {'columns': ['product_hk']},
    {'columns': ['party_hk']},
    {'columns': ['batch_id']},
]) }}

{{ link('loan', 'credit_loan', ['id'], {'loan': ['id'], 'application': ['application_id'], 'product': ['product_code'], 'party': ['borrower_id']}, kept=['version']) }}
