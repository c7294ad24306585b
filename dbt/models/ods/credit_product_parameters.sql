{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_product_parameters', {
    'product_code': 'code(32)',
    'valid_from': 'date',
    'interest_rate': 'rate',
    'probability_of_default': 'rate',
    'loss_given_default': 'rate',
    'credit_conversion_factor': 'rate',
    'created_at': 'timestamp',
}, keys=['product_code', 'valid_from']) }}
