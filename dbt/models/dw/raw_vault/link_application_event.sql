{{ config(indexes=[
    {'columns': ['link_hk'], 'unique': true},
    {'columns': ['application_event_hk']},
    {'columns': ['application_hk']},
    {'columns': ['batch_id']},
]) }}

{{ link('application_event', 'credit_application_event', ['id'], {'application': ['application_id']}, kept=['id']) }}
