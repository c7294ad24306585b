{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=["{{ delete_stale(in_stale_part('fact_loan_month', 'grain', 'as_of_date')) }}"],
) }}

with versions as (
    select
        m.snapshot_kind, m.snapshot_date, m.currency, m.product_code, m.product_key, m.ifrs9_stage, m.interest_rate,
        -- A matured loan that is still owed is as if due next month.
        cast({{ larger('m.remaining_instalments', '1') }} as integer) as months_left,
        count(*) as loans,
        sum(m.exposure_amount) as exposure
    from {{ ref('fact_loan_month') }} as m
    where m.status = 'open' and {{ in_stale_part('fact_loan_month', 'm.snapshot_kind', 'm.snapshot_date') }}
    group by
        m.snapshot_kind, m.snapshot_date, m.currency, m.product_code, m.product_key, m.ifrs9_stage, m.interest_rate,
        cast({{ larger('m.remaining_instalments', '1') }} as integer)
)

select
    v.snapshot_kind as grain,
    v.snapshot_date as as_of_date,
    v.currency,
    v.product_code,
    v.ifrs9_stage,
    v.interest_rate,
    p.probability_of_default,
    p.loss_given_default,
    v.months_left,
    cast(sum(v.loans) as bigint) as loans,
    cast(sum(v.exposure) as numeric(38, 4)) as exposure
from versions as v
inner join {{ ref('dim_product') }} as p on p.product_key = v.product_key
group by
    v.snapshot_kind, v.snapshot_date, v.currency, v.product_code, v.ifrs9_stage,
    v.interest_rate, p.probability_of_default, p.loss_given_default, v.months_left
