{{ config(indexes=[
    {'columns': ['link_hk'], 'unique': true},
    {'columns': ['document_hk']},
    {'columns': ['application_hk']},
    {'columns': ['batch_id']},
]) }}

{{ link('document', 'credit_document', ['id'], {'application': ['application_id']}, kept=['id']) }}
