{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_approval_band', {
    'band': 'code(32)',
    'stage_order': 'integer',
    'stage': 'code(32)',
    'currency': 'code(3)',
    'amount_from': 'money',
    'amount_below': 'money',
}, keys=['band', 'stage_order']) }}
