{{ config(indexes=[
    {'columns': ['decision_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('decision', 'credit_decision', ['id'], [
    'stage',
    'outcome',
    'maker',
    'decided_by',
    'reason_code',
    'comment',
    'decided_at',
    'migrated',
], link_parts=['id', 'application_id']) }}
