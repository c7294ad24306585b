{{ config(
    materialized='incremental',
    incremental_strategy='renew',
    unique_key=['product_key'],
    meta={'affected_key': 'product_hk'},
    pre_hook=["{{ note_affected(affected_of_hub('product')) }}"],
    indexes=[{'columns': ['product_key'], 'unique': true}, {'columns': ['product_hk']}],
) }}

{{ with_affected('product_hk') }}
sat_product as {{ rows_of(ref('sat_product')) }},
hub_product as {{ rows_of(ref('hub_product')) }},

versions as (
    {{ history_of('sat_product', 'product', 's.product_hk in (select a.product_hk from affected as a)' if is_incremental() else '1 = 1') }}
),

final as (
    select
        cast({{ version_key('product', 'v') }} as varchar(64)) as product_key,
        cast(v.product_hk as varchar(64)) as product_hk,
        h.product_code,
        v.name as product_name,
        v.currency,
        v.min_amount,
        v.max_amount,
        v.min_term_months,
        v.max_term_months,
        v.valid_from,
        v.valid_to,
        v.is_current,
        v.is_deleted
    from versions as v
    inner join hub_product as h on h.product_hk = v.product_hk
)

select * from final
