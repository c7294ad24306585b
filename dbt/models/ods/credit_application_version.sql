{{ config(indexes=[
    {'columns': ['position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ typed_changes('credit_application_version', {
    'application_id': 'uuid',
    'version': 'integer',
    'product_code': 'code(32)',
    'amount': 'money',
    'currency': 'code(3)',
    'term_months': 'integer',
    'purpose': 'text(64)',
    'channel': 'code(16)',
    'maker': 'uuid',
    'profile': 'json',
    'score': 'integer',
    'score_reasons': 'json',
    'submitted_at': 'timestamp',
    'migrated': 'flag',
}, keys=['application_id', 'version']) }}
