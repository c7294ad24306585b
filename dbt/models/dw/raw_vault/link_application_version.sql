{{ config(indexes=[
    {'columns': ['link_hk'], 'unique': true},
    {'columns': ['application_version_hk']},
    {'columns': ['application_hk']},
    {'columns': ['product_hk']},
    {'columns': ['batch_id']},
]) }}

{{ link('application_version', 'credit_application_version', ['application_id', 'version'], {'application': ['application_id'], 'product': ['product_code']}, kept=['version']) }}
