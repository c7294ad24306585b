{{ config(indexes=[
    {'columns': ['product_parameters_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('product_parameters', 'credit_product_parameters', ['product_code', 'valid_from'], [
    'interest_rate',
    'probability_of_default',
    'loss_given_default',
    'credit_conversion_factor',
    'created_at',
], link_parts=['product_code', 'valid_from']) }}
