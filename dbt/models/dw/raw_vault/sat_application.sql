{{ config(indexes=[
    {'columns': ['application_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('application', 'credit_application', ['id'], [
    'state',
    'current_version',
    'revision',
    'draft',
    'created_by',
    'created_at',
    'submitted_at',
    'decided_at',
    'external_ref',
    'migrated',
]) }}
