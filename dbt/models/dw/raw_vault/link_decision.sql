{{ config(indexes=[
    {'columns': ['link_hk'], 'unique': true},
    {'columns': ['decision_hk']},
    {'columns': ['application_hk']},
    {'columns': ['batch_id']},
]) }}

{{ link('decision', 'credit_decision', ['id'], {'application': ['application_id']}, kept=['id', 'version']) }}
