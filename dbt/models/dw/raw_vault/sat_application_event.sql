{{ config(indexes=[
    {'columns': ['application_event_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('application_event', 'credit_application_event', ['id'], [
    'version',
    'from_state',
    'to_state',
    'actor',
    'role',
    'reason_code',
    'comment',
    'occurred_at',
    'migrated',
], link_parts=['id', 'application_id']) }}
