{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_loan_classification', {
    'id': 'uuid',
    'loan_id': 'uuid',
    'classification': 'code(16)',
    'effective_from': 'date',
    'effective_to': 'date',
    'reason': 'text(1000)',
    'proposal_id': 'uuid',
    'proposed_by': 'uuid',
    'confirmed_by': 'uuid',
    'ending_proposal_id': 'uuid',
    'ending_confirmed_by': 'uuid',
    'recorded_at': 'timestamp',
    'migrated': 'flag',
}, keys=['id']) }}
