{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_loan_proposal', {
    'id': 'uuid',
    'loan_id': 'uuid',
    'booked_by': 'uuid',
    'kind': 'code(16)',
    'amount': 'money',
    'currency': 'code(3)',
    'effective_on': 'date',
    'reverses': 'uuid',
    'classification': 'code(16)',
    'ends': 'flag',
    'reason': 'text(1000)',
    'state': 'code(16)',
    'revision': 'integer',
    'proposed_by': 'uuid',
    'proposed_at': 'timestamp',
    'confirmed_by': 'uuid',
    'confirmed_at': 'timestamp',
    'refused_by': 'uuid',
    'refused_at': 'timestamp',
    'comment': 'text(1000)',
}, keys=['id']) }}
