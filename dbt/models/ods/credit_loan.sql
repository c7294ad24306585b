{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_loan', {
    'id': 'uuid',
    'application_id': 'uuid',
    'version': 'integer',
    'product_code': 'code(32)',
    'borrower_id': 'uuid',
    'principal': 'money',
    'currency': 'code(3)',
    'interest_rate': 'rate',
    'term_months': 'integer',
    'booked_by': 'uuid',
    'booked_at': 'timestamp',
    'restructured': 'flag',
    'defaulted': 'flag',
    'external_ref': 'code(64)',
    'migrated': 'flag',
}, keys=['id']) }}
