{{ config(indexes=[
    {'columns': ['bureau_report_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('bureau_report', 'credit_bureau_report', ['id'], [
    'provider',
    'raw_response',
    'received_at',
], link_parts=['id', 'application_id', 'party_id']) }}
