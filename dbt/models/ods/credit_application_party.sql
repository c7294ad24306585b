{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_application_party', {
    'application_id': 'uuid',
    'party_id': 'uuid',
    'role': 'code(16)',
}, keys=['application_id', 'party_id', 'role']) }}
