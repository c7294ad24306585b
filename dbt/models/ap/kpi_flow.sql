with movements as (
{{- whole_and_products(
    ref('fact_loan_transaction'),
    ['loan_hk', 'currency', 'effect', 'is_reversal', 'effective_on', 'reversed_on', 'amount'],
    until='effective_on',
    only="t.effect in ('disbursement', 'write-off', 'recovery')",
) -}}
),

-- What stands on the reporting date, in the month it was disbursed.
booked as (
    select
        m.as_of_date, {{ month_start('m.effective_on') }} as period_start, m.currency, m.dimension, m.member,
        sum(m.amount) as volume,
        count(distinct m.loan_hk) as loans
    from movements as m
    where m.effect = 'disbursement' and m.is_reversal = 0 and (m.reversed_on is null or m.reversed_on > m.as_of_date)
    group by m.as_of_date, {{ month_start('m.effective_on') }}, m.currency, m.dimension, m.member
),

-- The gross amounts of the snapshots are what the NPL ratios divide by.
balances as (
    select p.grain as snapshot_kind, p.as_of_date as snapshot_date, p.currency, p.dimension, p.member, p.denominator as gross
    from {{ ref('kpi_portfolio') }} as p
    where p.kpi = 'npl_ratio'
),

-- Twelve months up to the day: the month ends in them, and how many there are.
averages as (
    select
        b.snapshot_kind, b.snapshot_date, b.currency, b.dimension, b.member,
        -- As it is stored, so that numerator by denominator is the value.
        cast(avg(e.gross) as numeric(28, 4)) as average_gross,
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
        sum(case when m.effect = 'write-off' then m.amount else 0 end) as written_off,
        sum(case when m.effect = 'recovery' then m.amount else 0 end) as recovered
    from averages as a
    left join movements as m
        on m.currency = a.currency and m.dimension = a.dimension and m.member = a.member
        and m.effective_on <= a.snapshot_date and m.effective_on >= {{ start_of_twelve_months('a.snapshot_date') }}
    group by a.snapshot_kind, a.snapshot_date, a.currency, a.dimension, a.member, a.average_gross, a.months
),

gathered as (
    select b.as_of_date, 'month_of_booking' as grain, b.period_start, k.kpi, b.currency, b.dimension, b.member, b.volume as numerator, cast(b.loans as numeric(28, 4)) as denominator, 12 as months
    from booked as b
    cross join (values ('booked_volume'), ('average_ticket')) as k(kpi)
    union all
    select l.snapshot_date, l.snapshot_kind, l.snapshot_date, k.kpi, l.currency, l.dimension, l.member,
        case when k.kpi = 'write_off_rate_gross' then l.written_off else l.written_off - l.recovered end,
        l.average_gross,
        l.months
    from losses as l
    cross join (values ('write_off_rate_gross'), ('write_off_rate_net')) as k(kpi)
)

select
    g.as_of_date,
    cast(g.grain as varchar(20)) as grain,
    g.period_start,
    cast(g.kpi as varchar(40)) as kpi,
    g.currency,
    cast(g.dimension as varchar(16)) as dimension,
    g.member,
    cast(g.numerator as numeric(28, 4)) as numerator,
    cast(g.denominator as numeric(28, 4)) as denominator,
    case
        when g.kpi = 'booked_volume' then cast(g.numerator as numeric(28, 10))
        -- A rate of twelve months is not known before twelve month ends are.
        when g.months = 12 then {{ ratio('g.numerator', 'g.denominator') }}
    end as value
from gathered as g
