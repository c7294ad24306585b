{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_servicing_band', {
    'band': 'code(32)',
    'role': 'code(32)',
    'kind': 'code(16)',
    'currency': 'code(3)',
    'amount_from': 'money',
    'amount_below': 'money',
}, keys=['band', 'role']) }}
