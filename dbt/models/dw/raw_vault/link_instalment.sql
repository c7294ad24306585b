{{ config(indexes=[
    {'columns': ['link_hk'], 'unique': true},
    {'columns': ['instalment_hk']},
    {'columns': ['loan_hk']},
    {'columns': ['batch_id']},
]) }}

{{ link('instalment', 'credit_instalment', ['loan_id', 'number'], {'loan': ['loan_id']}, kept=['number']) }}
