{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_application_version_party', {
    'application_id': 'uuid',
    'version': 'integer',
    'party_id': 'uuid',
    'role': 'code(16)',
    'kind': 'code(16)',
    'full_name': 'text(200)',
    'birth_date': 'date',
    'national_id': 'text(32)',
    'party_revision': 'integer',
    'origin': 'code(16)',
}, keys=['application_id', 'version', 'party_id', 'role']) }}
