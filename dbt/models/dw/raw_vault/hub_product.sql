{{ config(indexes=[
    {'columns': ['product_hk'], 'unique': true},
    {'columns': ['product_code']},
]) }}

{{ hub('product', ['product_code'], [
    ('credit_product', ['code']),
    ('credit_product_parameters', ['product_code']),
    ('credit_application_version', ['product_code']),
    ('credit_loan', ['product_code']),
]) }}
