{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_application_event', {
    'id': 'uuid',
    'application_id': 'uuid',
    'version': 'integer',
    'from_state': 'code(16)',
    'to_state': 'code(16)',
    'actor': 'uuid',
    'role': 'code(32)',
    'reason_code': 'code(32)',
    'comment': 'text(1000)',
    'occurred_at': 'timestamp',
    'migrated': 'flag',
}, keys=['id']) }}
