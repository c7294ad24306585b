{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=["{{ delete_stale(in_stale_partition('fact_loan_month', 'grain', 'as_of_date')) }}"],
) }}

with
fact_loan_month as {{ rows_of(ref('fact_loan_month')) }},

members as (
    select m.snapshot_kind as grain, m.snapshot_date as as_of_date, m.currency, 'borrower' as dimension,
        cast(m.borrower_hk as varchar(64)) as member, cast(sum(m.exposure_amount) as numeric(38, 4)) as amount
    from fact_loan_month as m
    where m.status = 'open' and {{ in_stale_partition('fact_loan_month', 'm.snapshot_kind', 'm.snapshot_date') }}
    group by m.snapshot_kind, m.snapshot_date, m.currency, m.borrower_hk
    union all
    select m.snapshot_kind, m.snapshot_date, m.currency, 'product', cast(m.product_code as varchar(64)), cast(sum(m.exposure_amount) as numeric(38, 4))
    from fact_loan_month as m
    where m.status = 'open' and {{ in_stale_partition('fact_loan_month', 'm.snapshot_kind', 'm.snapshot_date') }}
    group by m.snapshot_kind, m.snapshot_date, m.currency, m.product_code
),

-- By day first: days are compared faster than texts.
ranked as (
    select
        m.*,
        row_number() over (partition by m.as_of_date, m.grain, m.currency, m.dimension order by m.amount desc, m.member asc) as place,
        sum(m.amount) over (partition by m.as_of_date, m.grain, m.currency, m.dimension) as total
    from members as m
),

-- Shares first, each rounded once to 18 decimals and added as decimals: squares of amounts have no room in 38 digits, and
-- a sum of floats depends on its order.
shares as (
    select r.*, cast(case when r.total <> 0 then cast(r.amount as float) / cast(r.total as float) end as numeric(19, 18)) as share
    from ranked as r
),

summed as (
    select
        s.grain, s.as_of_date, s.currency, s.dimension, s.total,
        count(*) as members,
        coalesce(sum({{ weighted('s.amount', 's.share') }}), 0) as weighted,
        sum(s.share * s.share) as squares,
        sum(case when s.place <= 10 then s.amount else 0 end) as ten_largest
    from shares as s
    group by s.grain, s.as_of_date, s.currency, s.dimension, s.total
),

final as (
    select
        s.grain,
        s.as_of_date,
        s.currency,
        cast(s.dimension as varchar(16)) as dimension,
        cast(k.kpi as varchar(40)) as kpi,
        cast(s.members as bigint) as members,
        cast(case when k.kpi = 'hhi' then s.weighted else s.ten_largest end as numeric(38, 4)) as numerator,
        cast(s.total as numeric(38, 4)) as denominator,
        case when k.kpi = 'hhi' then cast(10000 * s.squares as numeric(38, 10)) else {{ ratio('s.ten_largest', 's.total') }} end as value
    from summed as s
    cross join (values ('hhi'), ('ten_largest_share')) as k(kpi)
)

select * from final
