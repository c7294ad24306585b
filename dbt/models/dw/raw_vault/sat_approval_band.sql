{{ config(indexes=[
    {'columns': ['approval_band_hk', 'position_major', 'position_minor'], 'unique': true},
    {'columns': ['batch_id']},
]) }}

{{ satellite('approval_band', 'credit_approval_band', ['band', 'stage_order'], [
    'stage',
    'currency',
    'amount_from',
    'amount_below',
]) }}
