{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_party', {
    'id': 'uuid',
    'kind': 'code(16)',
    'full_name': 'text(200)',
    'birth_date': 'date',
    'national_id': 'text(32)',
    'email': 'text(254)',
    'phone': 'text(32)',
    'created_by': 'uuid',
    'created_at': 'timestamp',
    'revision': 'integer',
    'external_ref': 'code(64)',
}, keys=['id']) }}
