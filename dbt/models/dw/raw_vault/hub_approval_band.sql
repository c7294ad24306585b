{{ config(indexes=[
    {'columns': ['approval_band_hk'], 'unique': true},
    {'columns': ['band', 'stage_order']},
]) }}

{{ hub('approval_band', ['band', 'stage_order'], [
    ('credit_approval_band', ['band', 'stage_order']),
]) }}
