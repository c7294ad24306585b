{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_bureau_report', {
    'id': 'uuid',
    'application_id': 'uuid',
    'party_id': 'uuid',
    'provider': 'code(64)',
    'raw_response': 'text',
    'received_at': 'timestamp',
}, keys=['id']) }}
