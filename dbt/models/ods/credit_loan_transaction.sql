{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_loan_transaction', {
    'id': 'uuid',
    'loan_id': 'uuid',
    'kind': 'code(16)',
    'amount': 'money',
    'currency': 'code(3)',
    'effective_on': 'date',
    'reverses': 'uuid',
    'recorded_by': 'uuid',
    'recorded_at': 'timestamp',
    'migrated': 'flag',
    'proposal_id': 'uuid',
    'confirmed_by': 'uuid',
}, keys=['id']) }}
