{{ config(indexes=[
    {'columns': ['link_hk'], 'unique': true},
    {'columns': ['application_party_hk']},
    {'columns': ['application_hk']},
    {'columns': ['party_hk']},
    {'columns': ['batch_id']},
]) }}

{{ link('application_party', 'credit_application_party', ['application_id', 'party_id', 'role'], {'application': ['application_id'], 'party': ['party_id']}, kept=['role']) }}
