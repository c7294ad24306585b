{{ config(indexes=[
    {'columns': ['application_hk'], 'unique': true},
    {'columns': ['application_id']},
]) }}

{{ hub('application', ['application_id'], [
    ('credit_application', ['id']),
    ('credit_application_party', ['application_id']),
    ('credit_application_version', ['application_id']),
    ('credit_application_event', ['application_id']),
    ('credit_decision', ['application_id']),
    ('credit_document', ['application_id']),
    ('credit_bureau_report', ['application_id']),
    ('credit_loan', ['application_id']),
]) }}
