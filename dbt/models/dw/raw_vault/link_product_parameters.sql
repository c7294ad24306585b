{{ config(indexes=[
    {'columns': ['link_hk'], 'unique': true},
    {'columns': ['product_parameters_hk']},
    {'columns': ['product_hk']},
    {'columns': ['batch_id']},
]) }}

{{ link('product_parameters', 'credit_product_parameters', ['product_code', 'valid_from'], {'product': ['product_code']}, kept=['valid_from']) }}
