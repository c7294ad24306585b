{{ config(indexes=[
    {'columns': ['party_hk'], 'unique': true},
    {'columns': ['party_id']},
]) }}

{{ hub('party', ['party_id'], [
    ('credit_party', ['id']),
    ('credit_application_party', ['party_id']),
    ('credit_bureau_report', ['party_id']),
    ('credit_loan', ['borrower_id']),
]) }}
