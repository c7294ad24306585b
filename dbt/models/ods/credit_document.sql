{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_document', {
    'id': 'uuid',
    'application_id': 'uuid',
    'kind': 'code(32)',
    'file_name': 'text(255)',
    'media_type': 'code(127)',
    'size_bytes': 'bigint',
    'sha256': 'hex(64)',
    'object_key': 'code(512)',
    'uploaded_by': 'uuid',
    'uploaded_at': 'timestamp',
}, keys=['id']) }}
