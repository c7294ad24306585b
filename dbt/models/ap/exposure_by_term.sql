{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=["{{ delete_stale(in_stale_partition('fact_loan_month', 'grain', 'as_of_date')) }}"],
) }}

with
fact_loan_month as {{ rows_of(ref('fact_loan_month')) }},

terms as (
    select
        m.snapshot_kind, m.snapshot_date, m.currency, m.product_code, m.ifrs9_stage, m.interest_rate,
        m.probability_of_default, m.loss_given_default, m.exposure_amount,
        -- A matured loan that is still owed is as if due next month.
        cast({{ larger('m.remaining_instalments', '1') }} as integer) as months_left
    from fact_loan_month as m
    where m.status = 'open' and {{ in_stale_partition('fact_loan_month', 'm.snapshot_kind', 'm.snapshot_date') }}
),

final as (
    select
        t.snapshot_kind as grain,
        t.snapshot_date as as_of_date,
        t.currency,
        t.product_code,
        t.ifrs9_stage,
        t.interest_rate,
        t.probability_of_default,
        t.loss_given_default,
        t.months_left,
        cast(count(*) as bigint) as loans,
        cast(sum(t.exposure_amount) as numeric(38, 4)) as exposure
    from terms as t
    group by
        t.snapshot_kind, t.snapshot_date, t.currency, t.product_code, t.ifrs9_stage,
        t.interest_rate, t.probability_of_default, t.loss_given_default, t.months_left
)

select * from final
