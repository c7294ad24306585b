{{ config(indexes=[
    {'columns': ['link_hk'], 'unique': true},
    {'columns': ['bureau_report_hk']},
    {'columns': ['application_hk']},
    {'columns': ['party_hk']},
    {'columns': ['batch_id']},
]) }}

{{ link('bureau_report', 'credit_bureau_report', ['id'], {'application': ['application_id'], 'party': ['party_id']}, kept=['id']) }}
