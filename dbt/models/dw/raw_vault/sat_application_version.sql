{{ config(indexes=[
    {'columns': ['application_version_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('application_version', 'credit_application_version', ['application_id', 'version'], [
    'amount',
    'currency',
    'term_months',
    'purpose',
    'channel',
    'maker',
    'profile',
    'score',
    'score_reasons',
    'submitted_at',
    'migrated',
], link_parts=['application_id', 'version', 'product_code']) }}
