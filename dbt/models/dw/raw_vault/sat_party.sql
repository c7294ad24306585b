{{ config(indexes=[
    {'columns': ['party_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('party', 'credit_party', ['id'], [
    'kind',
    'full_name',
    'birth_date',
    'national_id',
    'email',
    'phone',
    'created_by',
    'created_at',
    'revision',
    'external_ref',
]) }}
