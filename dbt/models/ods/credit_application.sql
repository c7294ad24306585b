{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_application', {
    'id': 'uuid',
    'state': 'code(16)',
    'current_version': 'integer',
    'revision': 'integer',
    'draft': 'text',
    'created_by': 'uuid',
    'created_at': 'timestamp',
    'submitted_at': 'timestamp',
    'decided_at': 'timestamp',
    'external_ref': 'code(64)',
    'migrated': 'flag',
}, keys=['id']) }}
