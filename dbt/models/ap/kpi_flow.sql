with
fact_loan_transaction as {{ rows_of(ref('fact_loan_transaction')) }},
reporting_date as {{ rows_of(ref('reporting_date')) }},
kpi_portfolio as {{ rows_of(ref('kpi_portfolio')) }},

-- What stands on the reporting date, in the month it was disbursed. A loan is of one product, so the loans of all products add up.
disbursed as (
    select
        r.as_of_date, {{ month_start('t.effective_on') }} as period_start, t.currency, t.product_code, t.loan_hk,
        sum(t.amount) as volume
    from fact_loan_transaction as t
    inner join reporting_date as r on r.as_of_date >= t.effective_on
    where t.effect = 'disbursement' and coalesce(t.is_dated, 1) = 1 and t.is_reversal = 0 and (t.reversed_on is null or t.reversed_on > r.as_of_date)
    group by r.as_of_date, {{ month_start('t.effective_on') }}, t.currency, t.product_code, t.loan_hk
),

months as (
    select d.as_of_date, d.period_start, d.currency, d.product_code, sum(d.volume) as volume, count(*) as loans
    from disbursed as d
    group by d.as_of_date, d.period_start, d.currency, d.product_code
),

booked_of as (
{{- whole_and_products('months', ['as_of_date', 'period_start', 'currency', 'volume', 'loans']) -}}
),

booked as (
    select m.as_of_date, m.period_start, m.currency, m.dimension, m.member, sum(m.volume) as volume, sum(m.loans) as loans
    from booked_of as m
    group by m.as_of_date, m.period_start, m.currency, m.dimension, m.member
),

-- What was lost on a day is one row, so that the twelve months of each snapshot are looked for among few.
days as (
    select
        t.effective_on, t.currency, t.product_code,
        sum(case when t.effect = 'write-off' then t.amount else 0 end) as written_off,
        sum(case when t.effect = 'recovery' then t.amount else 0 end) as recovered
    from fact_loan_transaction as t
    where t.effect in ('write-off', 'recovery')
    group by t.effective_on, t.currency, t.product_code
),

lost as (
{{- whole_and_products('days', ['effective_on', 'currency', 'written_off', 'recovered']) -}}
),

-- The gross amounts of the snapshots are what the NPL ratios divide by.
balances as (
    select p.grain as snapshot_kind, p.as_of_date as snapshot_date, p.currency, p.dimension, p.member, p.denominator as gross
    from kpi_portfolio as p
    where p.kpi = 'npl_ratio'
),

-- Twelve months up to the day: the month ends in them, and how many there are.
averages as (
    select
        b.snapshot_kind, b.snapshot_date, b.currency, b.dimension, b.member,
        -- As it is stored, so that numerator by denominator is the value.
        cast(avg(e.gross) as numeric(38, 4)) as average_gross,
        count(*) as months
    from balances as b
    inner join balances as e
        on e.snapshot_kind = 'month_end' and e.currency = b.currency and e.dimension = b.dimension and e.member = b.member
        and e.snapshot_date <= b.snapshot_date and e.snapshot_date >= {{ start_of_twelve_months('b.snapshot_date') }}
    group by b.snapshot_kind, b.snapshot_date, b.currency, b.dimension, b.member
),

losses as (
    select
        a.snapshot_kind, a.snapshot_date, a.currency, a.dimension, a.member, a.average_gross, a.months,
        coalesce(sum(m.written_off), 0) as written_off,
        coalesce(sum(m.recovered), 0) as recovered
    from averages as a
    left join lost as m
        on m.currency = a.currency and m.dimension = a.dimension and m.member = a.member
        and m.effective_on <= a.snapshot_date and m.effective_on >= {{ start_of_twelve_months('a.snapshot_date') }}
    group by a.snapshot_kind, a.snapshot_date, a.currency, a.dimension, a.member, a.average_gross, a.months
),

gathered as (
    select b.as_of_date, 'month_of_booking' as grain, b.period_start, k.kpi, b.currency, b.dimension, b.member, b.volume as numerator, cast(b.loans as numeric(38, 4)) as denominator, 12 as months
    from booked as b
    cross join (values ('booked_volume'), ('average_ticket')) as k(kpi)
    union all
    select l.snapshot_date, l.snapshot_kind, l.snapshot_date, k.kpi, l.currency, l.dimension, l.member,
        case when k.kpi = 'write_off_rate_gross' then l.written_off else l.written_off - l.recovered end,
        l.average_gross,
        l.months
    from losses as l
    cross join (values ('write_off_rate_gross'), ('write_off_rate_net')) as k(kpi)
),

final as (
    select
        g.as_of_date,
        cast(g.grain as varchar(20)) as grain,
        g.period_start,
        cast(g.kpi as varchar(40)) as kpi,
        g.currency,
        cast(g.dimension as varchar(16)) as dimension,
        g.member,
        cast(g.numerator as numeric(38, 4)) as numerator,
        cast(g.denominator as numeric(38, 4)) as denominator,
        case
            when g.kpi = 'booked_volume' then cast(g.numerator as numeric(38, 10))
            -- A rate of twelve months is not known before twelve month ends are.
            when g.months = 12 then {{ ratio('g.numerator', 'g.denominator') }}
        end as value
    from gathered as g
)

select * from final
