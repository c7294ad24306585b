{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_instalment', {
    'loan_id': 'uuid',
    'number': 'integer',
    'due_on': 'date',
    'principal': 'money',
    'interest': 'money',
}, keys=['loan_id', 'number']) }}
