{{ config(indexes=[
    {'columns': ['document_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('document', 'credit_document', ['id'], [
    'kind',
    'file_name',
    'media_type',
    'size_bytes',
    'sha256',
    'object_key',
    'uploaded_by',
    'uploaded_at',
], link_parts=['id', 'application_id']) }}
