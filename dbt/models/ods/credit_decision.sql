{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_decision', {
    'id': 'uuid',
    'application_id': 'uuid',
    'version': 'integer',
    'stage': 'code(32)',
    'outcome': 'code(16)',
    'maker': 'uuid',
    'decided_by': 'uuid',
    'reason_code': 'code(32)',
    'comment': 'text(1000)',
    'decided_at': 'timestamp',
    'migrated': 'flag',
}, keys=['id']) }}
