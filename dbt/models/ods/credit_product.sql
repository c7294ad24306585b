{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_product', {
    'code': 'code(32)',
    'name': 'text(100)',
    'currency': 'code(3)',
    'min_amount': 'money',
    'max_amount': 'money',
    'min_term_months': 'integer',
    'max_term_months': 'integer',
}, keys=['code']) }}
