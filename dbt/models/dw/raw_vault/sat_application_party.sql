{{ config(indexes=[
    {'columns': ['application_party_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('application_party', 'credit_application_party', ['application_id', 'party_id', 'role'], [], link_parts=['application_id', 'party_id', 'role']) }}
