{{ config(
    materialized='incremental',
    incremental_strategy='renew',
    unique_key=['party_key'],
    meta={'affected_key': 'party_hk'},
    pre_hook=["{{ note_affected(affected_of_hub('party')) }}"],
    indexes=[{'columns': ['party_key'], 'unique': true}, {'columns': ['party_hk']}],
) }}

{{ with_affected('party_hk') }}
sat_party as {{ rows_of(ref('sat_party')) }},
hub_party as {{ rows_of(ref('hub_party')) }},

versions as (
    {{ history_of('sat_party', 'party', 's.party_hk in (select a.party_hk from affected as a)' if is_incremental() else '1 = 1') }}
),

final as (
    select
        cast({{ version_key('party', 'v') }} as varchar(64)) as party_key,
        cast(v.party_hk as varchar(64)) as party_hk,
        h.party_id,
        v.kind,
        {{ date_part_of('year', 'v.birth_date') }} as birth_year,
        v.revision,
        v.valid_from,
        v.valid_to,
        v.is_current,
        v.is_deleted
    from versions as v
    inner join hub_party as h on h.party_hk = v.party_hk
)

select * from final
