{{ config(indexes=[
    {'columns': ['product_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('product', 'credit_product', ['code'], [
    'name',
    'currency',
    'min_amount',
    'max_amount',
    'min_term_months',
    'max_term_months',
]) }}
